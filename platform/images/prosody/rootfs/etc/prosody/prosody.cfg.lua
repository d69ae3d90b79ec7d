-- Chat and presence of meetings. Reached only through jitsi-web's proxy on the localhost that the task's containers share.
daemonize = false
pidfile = "/tmp/prosody.pid"
data_path = "/var/lib/prosody"
default_storage = "memory" -- a meeting's chat ends with the meeting
log = { { levels = { min = "info" }, to = "console", timestamps = true } }

interfaces = { "127.0.0.1" }
http_ports = { 5280 }
http_interfaces = { "127.0.0.1" }
https_ports = {}
http_default_host = "meet.local"
consider_websocket_secure = true -- TLS ends at jitsi-web
consider_bosh_secure = true

modules_enabled = { "saslauth", "disco", "ping", "websocket", "bosh" }
modules_disabled = { "s2s", "tls", "offline" }

VirtualHost "meet.local"
  authentication = "anonymous"

Component "rooms.meet.local" "muc"
  name = "Meetings"
  muc_room_locking = false
  muc_room_default_public = false
  muc_room_default_history_length = 50
  modules_enabled = { "ping" }
