//! E05xx: what the machine does not give.

use crate::Example;

codes! {
    MACHINE;

    E0501: "two bindings want one address",
    "Two bindings listen on the same address and port. One of them would take the connections of the other.",
    files! {
        bad: concat!("\
name: edge
bindings:
  other:
    type: tcp
    kind: server
    options:
      host: 0.0.0.0
      port: 7183
    exit: mqtt
", north!(), mapping!(), log!()),
        good: concat!("\
name: edge
bindings:
  other:
    type: tcp
    kind: server
    options:
      host: 0.0.0.0
      port: 7184
    exit: mqtt
", north!(), mapping!(), log!()),
    };

    E0502: "a binding was not ready in time",
    "What the binding needs before it can work (sockets, files, a client library) took longer than 20 s, or with `zilla validate --online` than `--timeout`. Nothing was changed.",
    Example::Situation("It is found when the engine starts or reloads.");

    E0503: "what a binding needs cannot be had",
    "A port is taken, a port below 1024 needs a privilege, a directory cannot be written, a client library refuses its settings. The message has what the system said. Nothing was changed.",
    Example::Situation("It is found when the engine starts or reloads.");

    E0504: "a host name cannot be resolved",
    "The name of the host to listen on, or of a server, has no address on this machine now. To listen, use an address, or `0.0.0.0` or `::` for all.",
    Example::Situation("It is found by `zilla validate --online`, and when the engine starts or reloads.");
}
