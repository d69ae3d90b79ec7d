// What one participant sends: their camera and microphone as far as there are any. Who has no camera is seen as the first
// letter of their name, so that others count them and see that they are there.

const DRAW_EVERY_MS = 500; // a canvas sends only what is drawn, and who joins later waits for the next picture

// Resolves with {stream, video, audio}: the two say whether that is a real device. Rejects as getUserMedia does: a device that
// is there but cannot be had is a person's decision, see `without`.
export async function openCamera(name, { small = false, without = false } = {}) {
  const there = without ? [] : await navigator.mediaDevices.enumerateDevices();
  const has = kind => there.some(device => device.kind === kind);
  const video = has("videoinput"), audio = has("audioinput");
  const size = small ? { width: 320, height: 180, frameRate: 10 } : { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { max: 24 } };
  const stream = video || audio ? await navigator.mediaDevices.getUserMedia({
    video: video && size, audio: audio && { echoCancellation: true, noiseSuppression: true },
  }) : new MediaStream();
  if (!video) stream.addTrack(letter(name));
  return { stream, video, audio };
}

// What a person can do about it. https://w3c.github.io/mediacapture-main/#dom-mediadevices-getusermedia
export function remedy(error) {
  switch (error.name) {
    case "NotAllowedError": return "This page may not use the camera and the microphone. Allow both beside the address above, then join again. ";
    case "NotReadableError": return "The camera or the microphone is in use. Close the program that has it, then join again. ";
    default: return `The camera cannot be used: ${error.message} `;
  }
}

function letter(name) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
  const context = canvas.getContext("2d");
  const draw = () => {
    context.fillStyle = "#1d2229";
    context.fillRect(0, 0, canvas.width, canvas.height);
    Object.assign(context, { fillStyle: "#98a2b0", font: "600 88px system-ui, sans-serif", textAlign: "center", textBaseline: "middle" });
    context.fillText([...name][0].toUpperCase(), canvas.width / 2, canvas.height / 2);
  };
  draw();
  const [track] = canvas.captureStream().getVideoTracks();
  const timer = setInterval(() => track.readyState === "ended" ? clearInterval(timer) : draw(), DRAW_EVERY_MS);
  return track;
}
