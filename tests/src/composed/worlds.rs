//! The parts of WASI 0.2 that these guests may use, as WIT and as the functions of a core module (component model,
//! CanonicalABI.md). Every host of 0.2 has them.

/// Worlds that have all of it, and some that no host can provide.
pub(super) const WORLDS: &str = r"
package test:guests;

world checker {
    include bellwether:guest/checker@1.0.0;
    import wasi:clocks/monotonic-clock@0.2.0;
    import wasi:clocks/wall-clock@0.2.0;
    import wasi:random/random@0.2.0;
    import wasi:cli/environment@0.2.0;
    import wasi:cli/exit@0.2.0;
    import wasi:cli/stdin@0.2.0;
    import wasi:cli/stderr@0.2.0;
    import wasi:sockets/instance-network@0.2.0;
    import wasi:sockets/ip-name-lookup@0.2.0;
    import wasi:sockets/tcp-create-socket@0.2.0;
    import wasi:sockets/udp-create-socket@0.2.0;
    import wasi:filesystem/preopens@0.2.0;
}
world restart-script { include bellwether:guest/restart-script@1.0.0; }
world stranger {
    include bellwether:guest/checker@1.0.0;
    import wasi:http/types@0.9.0;
}
world tomorrow {
    include bellwether:guest/checker@1.0.0;
    import bellwether:guest/oracle@1.99.0;
}
world neither { export hello: func(); }

package bellwether:guest@1.99.0 {
    interface oracle { foresee: func() -> u64; }
}
package wasi:io@0.2.0 {
    interface poll {
        resource pollable { block: func(); }
        poll: func(in: list<borrow<pollable>>) -> list<u32>;
    }
    interface error { resource error; }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource input-stream { blocking-read: func(len: u64) -> result<list<u8>, stream-error>; }
        resource output-stream {
            blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
        }
    }
}
package wasi:clocks@0.2.0 {
    interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        now: func() -> u64;
        subscribe-duration: func(when: u64) -> pollable;
    }
    interface wall-clock {
        record datetime { seconds: u64, nanoseconds: u32 }
        now: func() -> datetime;
    }
}
package wasi:random@0.2.0 {
    interface random {
        get-random-bytes: func(len: u64) -> list<u8>;
        get-random-u64: func() -> u64;
    }
}
package wasi:cli@0.2.0 {
    interface environment { get-environment: func() -> list<tuple<string, string>>; }
    interface exit { exit: func(status: result); }
    interface stdin {
        use wasi:io/streams@0.2.0.{input-stream};
        get-stdin: func() -> input-stream;
    }
    interface stderr {
        use wasi:io/streams@0.2.0.{output-stream};
        get-stderr: func() -> output-stream;
    }
}
package wasi:filesystem@0.2.0 {
    interface types { resource descriptor; }
    interface preopens {
        use types.{descriptor};
        get-directories: func() -> list<tuple<descriptor, string>>;
    }
}
package wasi:sockets@0.2.0 {
    interface network {
        resource network;
        enum ip-address-family { ipv4, ipv6 }
        enum error-code {
            unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout,
            concurrency-conflict, not-in-progress, would-block, invalid-state, new-socket-limit,
            address-not-bindable, address-in-use, remote-unreachable, connection-refused,
            connection-reset, connection-aborted, datagram-too-large, name-unresolvable,
            temporary-resolver-failure, permanent-resolver-failure,
        }
        type ipv4-address = tuple<u8, u8, u8, u8>;
        type ipv6-address = tuple<u16, u16, u16, u16, u16, u16, u16, u16>;
        record ipv4-socket-address { port: u16, address: ipv4-address }
        record ipv6-socket-address { port: u16, flow-info: u32, address: ipv6-address, scope-id: u32 }
        variant ip-socket-address { ipv4(ipv4-socket-address), ipv6(ipv6-socket-address) }
    }
    interface instance-network {
        use network.{network};
        instance-network: func() -> network;
    }
    interface ip-name-lookup {
        use network.{network, error-code};
        resource resolve-address-stream;
        resolve-addresses: func(network: borrow<network>, name: string) -> result<resolve-address-stream, error-code>;
    }
    interface tcp {
        use wasi:io/streams@0.2.0.{input-stream, output-stream};
        use network.{network, error-code, ip-socket-address};
        resource tcp-socket {
            start-bind: func(network: borrow<network>, local-address: ip-socket-address) -> result<_, error-code>;
            finish-bind: func() -> result<_, error-code>;
            start-connect: func(network: borrow<network>, remote-address: ip-socket-address) -> result<_, error-code>;
            finish-connect: func() -> result<tuple<input-stream, output-stream>, error-code>;
            start-listen: func() -> result<_, error-code>;
        }
    }
    interface tcp-create-socket {
        use network.{error-code, ip-address-family};
        use tcp.{tcp-socket};
        create-tcp-socket: func(address-family: ip-address-family) -> result<tcp-socket, error-code>;
    }
    interface udp {
        use network.{network, error-code, ip-socket-address};
        resource udp-socket {
            start-bind: func(network: borrow<network>, local-address: ip-socket-address) -> result<_, error-code>;
        }
    }
    interface udp-create-socket {
        use network.{error-code, ip-address-family};
        use udp.{udp-socket};
        create-udp-socket: func(address-family: ip-address-family) -> result<udp-socket, error-code>;
    }
}
package wasi:http@0.9.0 { interface types { brew: func(); } }
";

/// A socket, a network, an address, and the address of the result.
const WITH_ADDRESS: &str =
    "(param i32 i32) (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param i32)";

/// The guest's name for it, the interface, the function, and its type.
pub(super) const FUNCTIONS: &[(&str, &str, &str, &str)] = &[
    ("$log", "bellwether:guest/log@1.0.0", "log", "(param i32 i32 i32)"),
    ("$get", "bellwether:guest/state@1.0.0", "get", "(param i32 i32 i32)"),
    ("$set", "bellwether:guest/state@1.0.0", "set", "(param i32 i32 i32 i32 i32)"),
    ("$foresee", "bellwether:guest/oracle@1.99.0", "foresee", "(result i64)"),
    ("$brew", "wasi:http/types@0.9.0", "brew", ""),
    ("$now", "wasi:clocks/monotonic-clock@0.2.0", "now", "(result i64)"),
    ("$timer", "wasi:clocks/monotonic-clock@0.2.0", "subscribe-duration", "(param i64) (result i32)"),
    ("$clock", "wasi:clocks/wall-clock@0.2.0", "now", "(param i32)"),
    ("$block", "wasi:io/poll@0.2.0", "[method]pollable.block", "(param i32)"),
    ("$drop_timer", "wasi:io/poll@0.2.0", "[resource-drop]pollable", "(param i32)"),
    ("$poll", "wasi:io/poll@0.2.0", "poll", "(param i32 i32 i32)"),
    ("$random_bytes", "wasi:random/random@0.2.0", "get-random-bytes", "(param i64 i32)"),
    ("$random", "wasi:random/random@0.2.0", "get-random-u64", "(result i64)"),
    ("$environment", "wasi:cli/environment@0.2.0", "get-environment", "(param i32)"),
    ("$exit", "wasi:cli/exit@0.2.0", "exit", "(param i32)"),
    ("$stdin", "wasi:cli/stdin@0.2.0", "get-stdin", "(result i32)"),
    ("$stderr", "wasi:cli/stderr@0.2.0", "get-stderr", "(result i32)"),
    ("$read", "wasi:io/streams@0.2.0", "[method]input-stream.blocking-read", "(param i32 i64 i32)"),
    (
        "$write",
        "wasi:io/streams@0.2.0",
        "[method]output-stream.blocking-write-and-flush",
        "(param i32 i32 i32 i32)",
    ),
    ("$folders", "wasi:filesystem/preopens@0.2.0", "get-directories", "(param i32)"),
    ("$network", "wasi:sockets/instance-network@0.2.0", "instance-network", "(result i32)"),
    ("$resolve", "wasi:sockets/ip-name-lookup@0.2.0", "resolve-addresses", "(param i32 i32 i32 i32)"),
    ("$tcp_socket", "wasi:sockets/tcp-create-socket@0.2.0", "create-tcp-socket", "(param i32 i32)"),
    ("$udp_socket", "wasi:sockets/udp-create-socket@0.2.0", "create-udp-socket", "(param i32 i32)"),
    ("$connect", "wasi:sockets/tcp@0.2.0", "[method]tcp-socket.start-connect", WITH_ADDRESS),
    ("$finish_connect", "wasi:sockets/tcp@0.2.0", "[method]tcp-socket.finish-connect", "(param i32 i32)"),
    ("$bind", "wasi:sockets/tcp@0.2.0", "[method]tcp-socket.start-bind", WITH_ADDRESS),
    ("$finish_bind", "wasi:sockets/tcp@0.2.0", "[method]tcp-socket.finish-bind", "(param i32 i32)"),
    ("$listen", "wasi:sockets/tcp@0.2.0", "[method]tcp-socket.start-listen", "(param i32 i32)"),
    ("$drop_socket", "wasi:sockets/tcp@0.2.0", "[resource-drop]tcp-socket", "(param i32)"),
    ("$udp_bind", "wasi:sockets/udp@0.2.0", "[method]udp-socket.start-bind", WITH_ADDRESS),
];
