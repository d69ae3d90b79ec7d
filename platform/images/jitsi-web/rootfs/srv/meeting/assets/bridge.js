// A client of Janus' videoroom over its WebSocket protocol: one connection that sends our camera, one a participant that
// receives theirs. https://janus.conf.meetecho.com/docs/rest.html and videoroom.html

const ANSWER_WITHIN_MS = 5000;
const KEEPALIVE_EVERY_MS = 5000;
const ROOM_EXISTS = 427;

export class Bridge extends EventTarget {
  // Events: "live"; "down" (detail: reason), after which nothing more comes and the last pictures stay until release();
  // "joined" {id, name, stream}; "left" {id}; "flow" {id, arriving}.
  constructor(url, room, name, camera) {
    super();
    Object.assign(this, { room, name, camera });
    this.waiting = new Map();     // transaction → {resolve, reject, timer, final}
    this.handles = new Map();     // Janus handle → what to call with its events
    this.subscribers = new Map(); // participant → {handle, peer}
    this.socket = new WebSocket(url, "janus-protocol");
    const opening = setTimeout(() => this.end("the video bridge does not answer"), ANSWER_WITHIN_MS);
    this.socket.onopen = () => {
      clearTimeout(opening);
      this.enter().catch(error => this.end(error.message));
    };
    this.socket.onmessage = message => this.receive(JSON.parse(message.data));
    this.socket.onclose = () => this.end("the connection to the video bridge was lost");
  }

  async enter() {
    this.session = (await this.request({ janus: "create" })).data.id;
    this.keepalive = setInterval(() => this.request({ janus: "keepalive" }).catch(error => this.end(error.message)), KEEPALIVE_EVERY_MS);
    this.publisher = await this.attach(event => this.onRoomEvent(event));
    const made = await this.ask(this.publisher, { request: "create", room: this.room, publishers: 12, bitrate: 600000,
      bitrate_cap: true, videocodec: "vp8", audiocodec: "opus", fir_freq: 10 });
    const refusal = made.plugindata.data.error_code;
    if (refusal && refusal !== ROOM_EXISTS) throw new Error(made.plugindata.data.error);
    const joined = await this.ask(this.publisher, { request: "join", ptype: "publisher", room: this.room, display: this.name });
    if (joined.plugindata.data.error) throw new Error(joined.plugindata.data.error);
    await this.publish();
    this.dispatchEvent(new Event("live"));
    this.subscribeAll(joined.plugindata.data.publishers);
  }

  async publish() {
    const peer = this.peer = this.newPeer(this.publisher);
    for (const track of this.camera.getTracks()) peer.addTransceiver(track, { direction: "sendonly", streams: [this.camera] });
    await peer.setLocalDescription(await peer.createOffer());
    const answer = await this.ask(this.publisher, { request: "publish" }, peer.localDescription);
    await peer.setRemoteDescription(answer.jsep);
  }

  subscribeAll(publishers = []) {
    for (const publisher of publishers) {
      this.subscribe(publisher).catch(error => console.warn(`${publisher.display}: ${error.message}`));
    }
  }

  async subscribe({ id, display }) {
    if (this.subscribers.has(id)) return;
    const subscriber = { handle: 0, peer: null };
    this.subscribers.set(id, subscriber);
    subscriber.handle = await this.attach(() => {});
    const offer = await this.ask(subscriber.handle, { request: "join", ptype: "subscriber", room: this.room, streams: [{ feed: id }] });
    if (!offer.jsep || !this.subscribers.has(id)) return; // gone again meanwhile
    const peer = subscriber.peer = this.newPeer(subscriber.handle);
    const stream = new MediaStream();
    peer.ontrack = ({ track }) => {
      stream.addTrack(track);
      if (track.kind !== "video") return;
      track.onmute = () => this.tell("flow", { id, arriving: false });
      track.onunmute = () => this.tell("flow", { id, arriving: true });
    };
    await peer.setRemoteDescription(offer.jsep);
    await peer.setLocalDescription(await peer.createAnswer());
    await this.ask(subscriber.handle, { request: "start" }, peer.localDescription);
    this.tell("joined", { id, name: display, stream });
  }

  onRoomEvent(event) {
    if (event.janus === "hangup") return this.end("the video bridge ended the connection");
    const data = event.plugindata?.data;
    if (!data) return;
    this.subscribeAll(data.publishers);
    if (data.leaving && data.leaving !== "ok") this.forget(data.leaving);
    if (data.unpublished && data.unpublished !== "ok") this.forget(data.unpublished);
  }

  forget(id) {
    const subscriber = this.subscribers.get(id);
    if (!subscriber) return;
    this.subscribers.delete(id);
    subscriber.peer?.close();
    if (subscriber.handle) this.request({ janus: "detach", handle_id: subscriber.handle }).catch(() => {});
    this.handles.delete(subscriber.handle);
    this.tell("left", { id });
  }

  newPeer(handle) {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    peer.onicecandidate = ({ candidate }) =>
      this.request({ janus: "trickle", handle_id: handle, candidate: candidate ?? { completed: true } }).catch(() => {});
    return peer;
  }

  async attach(onEvent) {
    const { data } = await this.request({ janus: "attach", plugin: "janus.plugin.videoroom" });
    this.handles.set(data.id, onEvent);
    return data.id;
  }

  // A request to the plugin; resolves with its own answer, not with the "ack" that comes first.
  ask(handle, body, jsep) {
    return this.request({ janus: "message", handle_id: handle, body, ...(jsep && { jsep }) });
  }

  request(message) {
    return new Promise((resolve, reject) => {
      if (this.socket.readyState !== WebSocket.OPEN) return reject(new Error("the connection to the video bridge was lost"));
      const transaction = crypto.getRandomValues(new Uint32Array(3)).join("-");
      const timer = setTimeout(() => {
        this.waiting.delete(transaction);
        reject(new Error("the video bridge does not answer"));
      }, ANSWER_WITHIN_MS);
      this.waiting.set(transaction, { resolve, reject, timer, acknowledged: message.janus !== "message" });
      this.socket.send(JSON.stringify({ ...message, session_id: this.session, transaction }));
    });
  }

  receive(message) {
    const waiting = this.waiting.get(message.transaction);
    if (waiting) {
      if (message.janus === "ack" && !waiting.acknowledged) return;
      this.waiting.delete(message.transaction);
      clearTimeout(waiting.timer);
      if (message.janus === "error") return waiting.reject(new Error(message.error.reason));
      waiting.resolve(message);
      return;
    }
    if (message.janus === "timeout") return this.end("the video bridge forgot this session");
    this.handles.get(message.sender)?.(message);
  }

  tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  // Leaves. Without a reason nobody is told: it was our wish.
  end(reason) {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.keepalive);
    if (this.socket.readyState === WebSocket.OPEN && this.session) {
      this.socket.send(JSON.stringify({ janus: "destroy", session_id: this.session, transaction: "leave" }));
    }
    this.socket.close();
    for (const { reject, timer } of this.waiting.values()) { clearTimeout(timer); reject(new Error("left")); }
    if (reason) this.tell("down", reason);
    else this.release();
  }

  release() {
    this.peer?.close();
    for (const { peer } of this.subscribers.values()) peer?.close();
  }
}
