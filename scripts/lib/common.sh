# Shared by scripts/start and scripts/test: where things are, how to say something, what must be installed.
# Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" > /dev/null 2>&1; }

# need CHECK PACKAGE [CHECK PACKAGE]...: installs each Debian package whose check, a shell command, fails.
# A check rather than the package's own name, since the same thing may come from elsewhere.
need() {
  local missing=() sudo=()
  while [ $# -gt 0 ]; do
    eval "$1" > /dev/null 2>&1 || missing+=("$2")
    shift 2
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  have apt-get || die "missing: ${missing[*]} (names of Debian packages); install them with this system's package manager and run again"
  if [ "$(id -u)" != 0 ]; then
    have sudo || die "missing Debian packages; as root, run: apt-get install -y ${missing[*]}"
    sudo=(sudo)
    sudo -n true 2> /dev/null || [ -t 0 ] || die "missing Debian packages; run: sudo apt-get install -y ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  "${sudo[@]}" apt-get update -qq >&2 < /dev/null || say "apt-get update failed; going on with the lists that are there"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >&2 < /dev/null || die "apt-get could not install: ${missing[*]} (see above)"
}

# What `cargo build` needs: librdkafka is compiled from source and links OpenSSL and zlib of the system.
need_build_tools() {
  need \
    "have cc && have c++ && have make" build-essential \
    "have pkg-config" pkg-config \
    "pkg-config --exists libssl" libssl-dev \
    "pkg-config --exists zlib" zlib1g-dev \
    "have python3" python3 \
    "[ -e /etc/ssl/certs/ca-certificates.crt ]" ca-certificates \
    "have git" git
}

# The toolchain that rust-toolchain.toml names.
need_rust() {
  local channel help
  channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$root/rust-toolchain.toml")
  have cargo || PATH=$HOME/.cargo/bin:$PATH
  if ! have cargo && apt-cache policy rustup 2> /dev/null | grep -q 'Candidate: [0-9]'; then need "have rustup" rustup; fi
  help="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --no-modify-path --profile minimal --default-toolchain $channel -c clippy -c rustfmt"
  if ! have cargo && ! have rustup; then
    need "have curl" curl
    say "installing Rust $channel with rustup, into ~/.cargo and ~/.rustup"
    bash -o pipefail -c "$help" >&2 < /dev/null || die "could not install Rust $channel (see above); install it and run again, e.g.: $help"
  fi
  if have rustup && ! rustup run "$channel" rustc --version > /dev/null 2>&1; then
    say "installing Rust $channel"
    rustup toolchain install "$channel" --profile minimal -c clippy -c rustfmt >&2 \
      || die "rustup could not install Rust $channel (see above)"
  fi
  have cargo || die "Rust $channel is missing; run: $help"
  case "$(cd "$root" && rustc --version 2>&1)" in
    "rustc $channel "*) ;;
    *) die "this tree is built with Rust $channel, and here is: $(cd "$root" && rustc --version 2>&1 | head -n 1); run: $help" ;;
  esac
}

# What the Kafka of scripts/kafka needs.
need_kafka_tools() {
  need \
    "java_17" openjdk-17-jre-headless \
    "have mvn" maven \
    "have flock && have setsid" util-linux
}

java_17() { [ "$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')" -ge 17 ]; }

# Whether something accepts connections on a port of loopback.
answers() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }
