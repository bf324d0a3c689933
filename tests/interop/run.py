"""Runs the suites of others against zilla, and compares what failed with differences.txt:
run.py MOSQUITTO PAHO [NAME...]

MOSQUITTO and PAHO are the folders of their sources, just unpacked; NAMEs are patterns of tests. The environment says
the program (ZILLA) and the Kafka (ZILLA_INTEROP_KAFKA; none: an embedded log for each test). Exits
with 1 where a test fails that is not listed, or one passes that is.
"""

import concurrent.futures
import contextlib
import fnmatch
import functools
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 120
AT_ONCE = 4


def listed():
    """Patterns of tests with their reasons: not run, failing, and failing now and then."""
    kinds = {"skip": {}, "fail": {}, "may": {}}
    for line in (HERE / "differences.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            kind, pattern, reason = line.split(maxsplit=2)
            kinds[kind][pattern] = reason
    return kinds.values()


def reason_of(name, patterns):
    return next((why for pattern, why in patterns.items() if fnmatch.fnmatch(name, pattern)), None)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def run(command, **options):
    """The output of a command, or nothing where it succeeds. Nothing that it started is left."""
    with tempfile.TemporaryFile("w+") as output:
        # A file: a pipe would be waited for as long as anything that was started has it.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **options
        )
        try:
            if process.wait(PATIENCE) == 0:
                return None
            output.seek(0)
            return output.read()
        except subprocess.TimeoutExpired:
            return f"FAIL: not done after {PATIENCE} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def mosquitto_tests(sources):
    (sources / "src" / "mosquitto").symlink_to(HERE / "broker.py")
    # Also for the programs that tests start.
    with open(sources / "test" / "mosq_test.py", "a") as library:
        library.write("\nfrom zilla_adapter import *\n")
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    for file in sorted((sources / "test" / "broker").glob("[0-9][0-9]-*.py")):
        count = re.search(r"get_port\((\d+)\)", file.read_text())
        ports = int(count.group(1)) if count else 1
        test = functools.partial(mosquitto_test, file, ports, environment)
        yield f"mosquitto/{file.stem}", test


def mosquitto_test(file, ports, environment):
    command = [sys.executable, "-u", file.name, *free_ports(ports)]
    return run(command, cwd=file.parent, env=environment)


def paho_test(sources, name):
    [port] = free_ports(1)
    server = subprocess.Popen(
        [sys.executable, "-c", f"import broker; broker.start({port}, 'max_keepalive 60')"],
        cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(PATIENCE * 10):
            try:
                socket.create_connection(("127.0.0.1", int(port))).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        return run([sys.executable, HERE / "paho_suite.py", sources, port, name])
    finally:
        server.terminate()
        server.wait()


def paho_tests(sources):
    text = (sources / "tests" / "test_mqttv5.py").read_text()
    for name in re.findall(r"def (test_\w+)\(self\)", text):
        yield f"paho/{name}", functools.partial(paho_test, sources, name)


def why(output):
    """The lines of a test's output that say why it failed."""
    lines = [line for line in output.splitlines() if re.match(r"FAIL|\w*Error|\w*Exception", line)]
    return (lines or output.splitlines() or ["no output"])[-1][:300]


def main():
    mosquitto, paho, *names = sys.argv[1:]
    skipped, failing, unsteady = listed()
    tests = [*paho_tests(pathlib.Path(paho)), *mosquitto_tests(pathlib.Path(mosquitto))]
    if names:
        tests = [test for test in tests if any(fnmatch.fnmatch(test[0], name) for name in names)]
    chosen = [test for test in tests if not reason_of(test[0], skipped)]
    counts = {"passed": 0, "failed": 0, "skipped": len(tests) - len(chosen)}
    differ = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = [(name, pool.submit(test)) for name, test in chosen]
        for name, future in running:
            output, reason = future.result(), reason_of(name, failing)
            if output:
                reason = reason or reason_of(name, unsteady)
            if output is None and reason is None:
                counts["passed"] += 1
            elif output is None:
                counts["failed"] += 1
                print(f"{name} passes, and is listed in differences.txt: {reason}", flush=True)
            elif reason is None:
                counts["failed"] += 1
                print(f"{name} fails: {why(output)}", flush=True)
            else:
                differ += 1
                print(f"{name} differs: {reason}", flush=True)
    print(f"{differ} differ as is written down, of {len(tests)} tests")
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    # What the servers leave, which end by a signal.
    with tempfile.TemporaryDirectory(prefix="zilla-interop-") as scratch:
        os.environ["TMPDIR"] = scratch
        status = main()
    sys.exit(status)
