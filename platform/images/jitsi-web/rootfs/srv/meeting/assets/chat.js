// A client of Prosody's chat rooms: XMPP over WebSocket (RFC 7395), an anonymous login, one MUC room (XEP-0045).

const DOMAIN = "meet.local";
const FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
const SASL = "urn:ietf:params:xml:ns:xmpp-sasl";

const escape = text => text.replace(/[&<>"']/g, sign => `&#${sign.charCodeAt(0)};`);

export class Chat extends EventTarget {
  // Events: "ready"; "message" {from, text, own}; "people" (detail: how many); "down".
  constructor(url, room, name) {
    super();
    this.room = `${room}@rooms.${DOMAIN}`;
    this.nickname = name;
    this.people = new Set();
    this.socket = new WebSocket(url, "xmpp");
    this.socket.onopen = () => this.open();
    this.socket.onmessage = ({ data }) => this.receive(new DOMParser().parseFromString(data, "text/xml").documentElement);
    this.socket.onclose = () => { if (!this.left) this.dispatchEvent(new Event("down")); };
  }

  open() { this.socket.send(`<open xmlns="${FRAMING}" to="${DOMAIN}" version="1.0"/>`); }

  receive(stanza) {
    const has = name => stanza.getElementsByTagName(name).length > 0;
    switch (stanza.localName) {
      case "features":
        if (has("mechanisms")) this.socket.send(`<auth xmlns="${SASL}" mechanism="ANONYMOUS"/>`);
        else this.socket.send('<iq xmlns="jabber:client" type="set" id="bind"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>');
        break;
      case "success": this.open(); break;
      case "iq": this.onQuery(stanza); break;
      case "presence": this.onPresence(stanza); break;
      case "message": this.onMessage(stanza); break;
      case "close": this.socket.close(); break;
    }
  }

  onQuery(stanza) {
    if (stanza.getAttribute("id") === "bind" && stanza.getAttribute("type") === "result") return this.join();
    if (stanza.getAttribute("type") === "get") { // a ping of the server
      this.socket.send(`<iq xmlns="jabber:client" type="result" id="${escape(stanza.getAttribute("id"))}" to="${escape(stanza.getAttribute("from") ?? DOMAIN)}"/>`);
    }
  }

  join() {
    this.socket.send(`<presence xmlns="jabber:client" to="${escape(`${this.room}/${this.nickname}`)}"><x xmlns="http://jabber.org/protocol/muc"/></presence>`);
  }

  onPresence(stanza) {
    const who = this.nicknameOf(stanza);
    const type = stanza.getAttribute("type");
    if (type === "error") {
      if (stanza.getElementsByTagName("conflict").length === 0) return this.socket.close();
      this.nickname = `${this.nickname.replace(/ \d+$/, "")} ${2 + Math.floor(Math.random() * 998)}`; // the name is taken
      return this.join();
    }
    if (type === "unavailable") this.people.delete(who);
    else this.people.add(who);
    this.dispatchEvent(new CustomEvent("people", { detail: this.people.size }));
    const codes = [...stanza.getElementsByTagName("status")].map(status => status.getAttribute("code"));
    if (codes.includes("110") && type !== "unavailable") this.dispatchEvent(new Event("ready"));
  }

  onMessage(stanza) {
    const text = stanza.getElementsByTagName("body")[0]?.textContent;
    const from = this.nicknameOf(stanza);
    if (text && from) this.dispatchEvent(new CustomEvent("message", { detail: { from, text, own: from === this.nickname } }));
  }

  nicknameOf(stanza) { return (stanza.getAttribute("from") ?? "").split("/").slice(1).join("/"); }

  send(text) {
    this.socket.send(`<message xmlns="jabber:client" type="groupchat" to="${escape(this.room)}"><body>${escape(text)}</body></message>`);
  }

  leave() {
    this.left = true;
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(`<close xmlns="${FRAMING}"/>`);
    this.socket.close();
  }
}
