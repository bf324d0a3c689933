//! An entry of the list.

use std::fmt;

/// A code that a problem can have.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) explanation: &'static str,
    pub(crate) example: Example,
}

/// What shows a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    /// A file that has the problem, and the file without it. Both are complete.
    Files {
        /// `zilla validate` says this code about it and no other.
        bad: &'static str,
        /// `zilla validate` says nothing about it.
        good: &'static str,
    },
    /// No file shows it, for a reason.
    Situation(&'static str),
}

impl Code {
    /// `E0202`: stable.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// What is wrong, in a few words.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        self.title
    }

    /// Why it is wrong and what to do: paragraphs, one a line.
    #[must_use]
    pub const fn explanation(&self) -> &'static str {
        self.explanation
    }

    /// What shows it.
    #[must_use]
    pub const fn example(&self) -> Example {
        self.example
    }

    /// Whether it is a warning: it does not prevent a configuration from being used, and can be
    /// allowed.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.id.as_bytes().first() == Some(&b'W')
    }

    /// Whether `id` names it, in any case.
    #[must_use]
    pub(crate) fn is(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id)
    }
}

/// Its id.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id)
    }
}

/// Defines a group of codes: each a constant of its name, and a list of them.
macro_rules! codes {
    ($group:ident; $($id:ident: $title:literal, $explanation:expr, $example:expr;)*) => {
        $(
            #[doc = $title]
            pub const $id: &$crate::Code = &$crate::Code {
                id: stringify!($id),
                title: $title,
                explanation: $explanation,
                example: $example,
            };
        )*

        /// The codes of this group.
        pub(crate) const $group: &[&$crate::Code] = &[$($id),*];
    };
}

/// An example of two files.
macro_rules! files {
    (bad: $bad:expr, good: $good:expr $(,)?) => {
        $crate::Example::Files { bad: $bad, good: $good }
    };
}
