//! Expressions: `${{env.NAME}}` in string leaves.

/// Where expressions find their values.
pub trait Environment {
    /// The value of an environment variable.
    fn get(&self, name: &str) -> Option<String>;
}

/// The process's environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
