//! E0700 to E0799: tests of a configuration.

use crate::Example;

codes! {
    TESTS;

    E0701: "not what the test expects",
    "The engine would decide otherwise. Either the configuration or the test is wrong: `zilla explain` shows for the same action which rules were asked.",
    Example::Situation("`zilla test` says it at the expectation: `expect: {kafka-topic: sensors}` where the message goes to `mqtt-messages`.");

    E0702: "denied, which the test does not expect",
    "A test whose action may be denied says so, with the reason code: `expect: {denied: 0x87}`.",
    Example::Situation("`zilla test` says it at the action: a publish that no route takes, without `denied` in `expect`.");

    E0703: "not denied, which the test expects",
    "The action is permitted although the test expects a reason code. A route that is wider than it is meant to be shows like this.",
    Example::Situation("`zilla test` says it at `expect.denied`: a publish that a route takes.");

    E0704: "a configuration that cannot be tested",
    "The configuration that `config` names, or the one whose name is the test file's without `.test`, cannot be read or has errors. `zilla validate` shows all of them.",
    Example::Situation("`zilla test` says it at `config`: a file that does not exist.");

    E0705: "an action that nothing decides",
    "No binding takes the client: none listens on the `port` of the action, no route takes the connection, or several bindings would do.",
    Example::Situation("`zilla test` says it at the action: `port: 1` where only 7183 is listened on.");

    E0706: "a binding that the configuration does not have",
    "`expect.route` names bindings of the configuration, with their namespace where there are several.",
    Example::Situation("`zilla test` says it at the name: `route: {maping: exit}` where the binding is called `mapping`.");
}
