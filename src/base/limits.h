// Every bound on a queue, body, depth, page and retry. Each rejection has a test beside the code that rejects.
#pragma once

#include <cstddef>
#include <cstdint>

namespace berth::limits {

inline constexpr size_t kHttpHeaderBytesMax = 16 * 1024;
// PutLogEvents: 1 MiB of up to 10,000 events, whose letters beyond ASCII some clients escape, six bytes for two.
inline constexpr size_t kHttpBodyBytesMax = 4 * 1024 * 1024;
inline constexpr size_t kHttpHeadersMax = 100;
inline constexpr size_t kHttpConnectionsMax = 4096;
// Of all connections together, what has arrived of requests that are not complete and so not authenticated. Four of the
// largest bodies; on loopback a body is whole after milliseconds.
inline constexpr size_t kHttpUnauthenticatedBytesMax = 16 * 1024 * 1024;
inline constexpr int64_t kHttpIdleMaxMs = 120 * 1000;  // between two requests; SDKs keep connections for a minute or so
inline constexpr int64_t kHttpReceiveMaxMs = 20 * 1000;  // from a request's first byte to its last
inline constexpr int64_t kHttpSendMaxMs = 20 * 1000;     // without any progress
inline constexpr size_t kFollowersMax = 1000;  // of tasks' logs, by the admin socket; half of them may be gone
// Of a body with Content-Encoding: gzip, unpacked: as much as one that is not packed may have.
inline constexpr size_t kGzipInflatedBytesMax = kHttpBodyBytesMax;
// Of an answer that is written piece by piece and of what a WebSocket's handler sends: what waits for a slow reader. Its
// writer is told to stop at this, and told to go on at half of it.
inline constexpr size_t kStreamBufferBytesMax = 256 * 1024;
inline constexpr size_t kWebSocketMessageBytesMax = 256 * 1024;  // received, whole: of all its fragments
// What waits for one pool of workers (log reads, image work, …); over it the request is answered 503 at once.
inline constexpr size_t kPoolQueueMax = 256;
inline constexpr int64_t kHttpAcceptPauseMs =
    1000;  // with no descriptor left; connections that close end it sooner, files of others that close tell nobody
inline constexpr size_t kPullsPerRegistryMax = 4;  // at once; skopeo copies six layers of each at once
inline constexpr size_t kPullsMax = 64;            // at once, each a thread here and a process of skopeo
inline constexpr size_t kPullsWaitingMax = 10'000;  // images; the tasks that wait for one image count once
inline constexpr int kJsonDepthMax = 64;
inline constexpr size_t kQueryParametersMax = 4096;
inline constexpr size_t kRequestElementsMax =
    20'000;  // of all lists and maps of a request; PutLogEvents may have 10,000
// Of StopTask's reason, and of any stoppedReason: it stands in every later version of the task's status.
inline constexpr size_t kStoppedReasonBytesMax = 1024;
// Of what a service's deployment keeps without acting on it (serviceConnectConfiguration, volumeConfigurations): each
// deployment in the service's status has a copy.
inline constexpr size_t kRevisionKeptBytesMax = 16 * 1024;
inline constexpr size_t kEc2FilterValuesMax = 200;  // of all filters of a request (EC2 API Reference)
// EC2's quotas, as AWS has them by default, but for VPCs (AWS: 5) and route tables (AWS: 200; a change of a VPC's blocks
// writes all of its tables in one transaction).
inline constexpr size_t kVpcsMax = 100;  // a region
inline constexpr size_t kVpcCidrsMax = 5;
inline constexpr size_t kSubnetsMax = 200;     // a VPC
inline constexpr size_t kRouteTablesMax = 100;  // a VPC
inline constexpr size_t kRoutesMax = 50;        // a table, without the local ones
inline constexpr size_t kInternetGatewaysMax = 100;  // a region
inline constexpr size_t kAddressesMax = 5;           // Elastic IPs a region
inline constexpr size_t kNatGatewaysMax = 5;         // a zone
inline constexpr size_t kVpcEndpointsMax = 20;       // a region, of each type
inline constexpr size_t kClientTokenBytesMax = 64;  // EC2's idempotency tokens
inline constexpr int64_t kClockSkewMaxMs = 5 * 60 * 1000;  // SigV4: AWS refuses signatures older or newer than this

// Of the resolver. Questions that wait for an answer from outside; over it: SERVFAIL at once.
inline constexpr size_t kDnsForwardsMax = 1024;
inline constexpr size_t kDnsForwardTriesMax = 3;        // of one question, at the host's servers in turn
inline constexpr int64_t kDnsForwardTryMaxMs = 1500;    // all tries end before a stub resolver's 5 s do
inline constexpr size_t kDnsTcpClientsMax = 256;        // of all VPCs
inline constexpr int64_t kDnsTcpIdleMaxMs = 10 * 1000;  // RFC 7766: seconds
// A companion (resolver, Envoy) that ends at once is started again later and later.
inline constexpr int64_t kCompanionRestartMinMs = 50;
inline constexpr int64_t kCompanionRestartMaxMs = 30 * 1000;

}  // namespace berth::limits
