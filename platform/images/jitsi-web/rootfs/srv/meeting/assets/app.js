// The page: a lobby, a grid of tiles, a chat. The room's name is the address' path.
import { Bridge } from "/assets/bridge.js";
import { openCamera, remedy } from "/assets/camera.js";
import { Chat } from "/assets/chat.js";

const $ = id => document.getElementById(id);
const RETRY_FIRST_MS = 1000, RETRY_MOST_MS = 10000;

const parameters = new URLSearchParams(location.search);
const asRoom = text => text.trim().toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);

const roomInPath = asRoom(decoded(location.pathname.slice(1)));

let camera, bridge, lastLive, chat, retryTimer, inMeeting = false;
const tiles = new Map(); // participant → element

// ---- lobby

$("room-field").value = roomInPath;
$("name-field").value = parameters.get("name") ?? localStorage.getItem("name") ?? "";
(roomInPath ? $("name-field") : $("room-field")).focus();

if (!window.isSecureContext) {
  const secure = document.createElement("a");
  secure.href = location.href.replace(/^http:/, "https:");
  secure.textContent = "Open the secure page";
  note("Browsers give cameras to secure pages only. ", secure);
  document.querySelector("#entry button").disabled = true;
} else if (parameters.has("join")) {
  enter();
}

$("entry").addEventListener("submit", event => { event.preventDefault(); enter(); });

function note(...parts) {
  $("lobby-note").replaceChildren(...parts);
  $("lobby-note").hidden = parts.length === 0;
}

// Anything may stand in an address.
function decoded(path) {
  try { return decodeURIComponent(path); } catch { return ""; }
}

async function enter(without = false) {
  const room = asRoom($("room-field").value), name = $("name-field").value.trim();
  if (!room || !name) return note("A room needs a name of letters and digits, and you need a name too.");
  note();
  localStorage.setItem("name", name);
  const button = document.querySelector("#entry button");
  button.disabled = true; // the browser may ask a person now, and one camera is enough
  try {
    camera = await openCamera(name, { small: parameters.get("size") === "small", without });
  } catch (error) {
    const anyway = Object.assign(document.createElement("button"), { type: "button", textContent: "Join without them" });
    anyway.addEventListener("click", () => enter(true));
    return note(remedy(error), anyway);
  } finally {
    button.disabled = false;
  }
  history.replaceState(null, "", `/${room}${location.search}`);
  document.title = room;
  $("room-name").textContent = room;
  $("lobby").hidden = true;
  $("meeting").hidden = false;
  inMeeting = true;
  addTile("own", `${name} (you)`, camera.stream, camera.video);
  offerToggle($("toggle-audio"), "Microphone", camera.audio, camera.stream.getAudioTracks());
  offerToggle($("toggle-video"), "Camera", camera.video, camera.stream.getVideoTracks());
  connectBridge(room, name, RETRY_FIRST_MS);
  connectChat(room, name, RETRY_FIRST_MS);
}

const socketUrl = path => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;

// ---- bridge

function connectBridge(room, name, retryMs) {
  if (!lastLive) status("connecting", "Connecting…");
  const current = bridge = new Bridge(socketUrl("/janus-ws"), room, name, camera.stream);
  bridge.addEventListener("live", () => {
    retryMs = RETRY_FIRST_MS;
    lastLive?.release(); // its last pictures stood until now
    lastLive = current;
    for (const id of [...tiles.keys()]) if (id !== "own") removeTile(id);
    showCount();
  });
  bridge.addEventListener("joined", ({ detail: { id, name, stream } }) => { addTile(id, name, stream); showCount(); });
  bridge.addEventListener("left", ({ detail: { id } }) => { removeTile(id); showCount(); });
  bridge.addEventListener("flow", ({ detail: { id, arriving } }) => tiles.get(id)?.classList.toggle("frozen", !arriving));
  bridge.addEventListener("down", ({ detail: reason }) => {
    status("down", `The video bridge is down: ${reason}. Trying again…`);
    for (const [id, tile] of tiles) if (id !== "own") tile.classList.add("frozen");
    if (current !== lastLive) current.release();
    retryTimer = setTimeout(() => connectBridge(room, name, Math.min(retryMs * 2, RETRY_MOST_MS)), retryMs);
  });
}

function status(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

function showCount() {
  const others = tiles.size - 1;
  status("live", others === 0 ? "You are the first one here" : `${others + 1} in the meeting`);
}

// ---- tiles

function addTile(id, name, stream, mirrored = false) {
  removeTile(id);
  const tile = document.createElement("div"), video = document.createElement("video"), who = document.createElement("span");
  tile.className = mirrored ? "tile mirrored" : "tile";
  tile.dataset.participant = id;
  Object.assign(video, { autoplay: true, playsInline: true, muted: id === "own", srcObject: stream });
  who.className = "who";
  who.textContent = name;
  tile.append(video, who);
  $("tiles").append(tile);
  tiles.set(id, tile);
  layOut();
}

function removeTile(id) {
  tiles.get(id)?.remove();
  tiles.delete(id);
  layOut();
}

// As many columns as make the tiles largest at the shape of a picture, 16:9.
function layOut() {
  const { clientWidth: width, clientHeight: height } = $("tiles"), count = tiles.size;
  let best = 1, bestWidth = 0;
  for (let columns = 1; columns <= count; columns++) {
    const tileWidth = Math.min(width / columns, height / Math.ceil(count / columns) * 16 / 9);
    if (tileWidth > bestWidth) [best, bestWidth] = [columns, tileWidth];
  }
  $("tiles").style.setProperty("--columns", best);
}
new ResizeObserver(layOut).observe($("tiles"));

// ---- chat

function connectChat(room, name, retryMs) {
  chat = new Chat(socketUrl("/xmpp-websocket"), room, name);
  chat.addEventListener("ready", () => { retryMs = RETRY_FIRST_MS; $("chat-field").disabled = false; $("chat-field").placeholder = "Message"; });
  chat.addEventListener("message", ({ detail: { from, text, own } }) => {
    const item = document.createElement("li"), author = document.createElement("b");
    author.textContent = own ? "You" : from;
    item.append(author, text);
    $("messages").append(item);
    item.scrollIntoView({ block: "nearest" });
    if ($("chat").hidden) $("toggle-chat").classList.add("unread");
  });
  chat.addEventListener("people", ({ detail: people }) => { $("toggle-chat").title = `${people} in the chat`; });
  chat.addEventListener("down", () => {
    $("chat-field").disabled = true;
    $("chat-field").placeholder = "Chat is down, trying again…";
    setTimeout(() => { if (inMeeting) { $("messages").replaceChildren(); connectChat(room, name, Math.min(retryMs * 2, RETRY_MOST_MS)); } }, retryMs);
  });
}

$("chat-form").addEventListener("submit", event => {
  event.preventDefault();
  const text = $("chat-field").value.trim();
  if (!text || $("chat-field").disabled) return;
  chat.send(text);
  $("chat-field").value = "";
});

// ---- buttons

function offerToggle(button, what, isThere, tracks) {
  button.disabled = !isThere;
  if (!isThere) return button.textContent = `No ${what.toLowerCase()}`;
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const track of tracks) track.enabled = on;
    button.setAttribute("aria-pressed", on);
    button.textContent = `${what} ${on ? "on" : "off"}`;
  });
}

$("toggle-chat").addEventListener("click", () => {
  const open = $("chat").hidden;
  $("chat").hidden = !open;
  $("toggle-chat").setAttribute("aria-pressed", open);
  $("toggle-chat").classList.remove("unread");
  if (open) $("chat-field").focus();
});

$("copy-link").addEventListener("click", async () => {
  await navigator.clipboard.writeText(`${location.origin}${location.pathname}`);
  $("copy-link").textContent = "Copied";
  setTimeout(() => { $("copy-link").textContent = "Copy link"; }, 1500);
});

function leave() {
  inMeeting = false;
  clearTimeout(retryTimer);
  bridge?.end();
  lastLive?.release();
  chat?.leave();
  for (const track of camera?.stream.getTracks() ?? []) track.stop();
}
$("leave").addEventListener("click", () => { leave(); location.href = location.pathname; });
addEventListener("pagehide", leave);
