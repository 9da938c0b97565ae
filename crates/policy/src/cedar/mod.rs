//! Rules in the Cedar policy language: hand-written files, and grants and modes said in the same words.
//!
//! ```
//! use raincoat_policy::cedar::{Example, Rules, Verdict};
//!
//! let text = r#"
//!     @id("books.ask")
//!     @ask("the books are changed only with your word")
//!     @match("agent:default write /home/u/books/a.csv")
//!     @not_match("agent:default read /home/u/books/a.csv; agent:default write /home/u/books/a.csv approved=true")
//!     forbid (principal is Agent, action in Action::"change", resource in Folder::"/home/u/books")
//!     unless { context.approved };
//! "#;
//! // With a problem in it, nothing that the broken rule could have applied to is allowed.
//! let rules = Rules::load(&[("mine.cedar", text)]).unwrap_or_else(|broken| broken.into_rules());
//! // A line is a request; the runtime makes `Request`s from what it resolved.
//! let request = Example::parse("agent:default delete /home/u/books/a.csv")?.request;
//! let Verdict::Ask { by, why, .. } = rules.decide(&request) else { panic!("not asked") };
//! assert_eq!(why, "the books are changed only with your word");
//! assert_eq!(by[0].to_string(), "mine.cedar:2 `books.ask`");
//! # Ok::<(), raincoat_policy::cedar::ExampleError>(())
//! ```
//!
//! # Putting it together
//!
//! Whoever decides asks about each thing that an action touches and takes the strictest answer. [`Verdict::Deny`] is
//! final. [`Verdict::Ask`] with `forbidden` asks whatever the grants say; where it is not `permitted` either, the grants
//! must allow the action besides. [`Verdict::Silent`] leaves it to the grants. [`Verdict::Allow`], and an `Ask` that is
//! `permitted`, widen what a grant's actions allow within a folder that is granted; they never reach outside of one,
//! past a protected name, or around a question that something else asks.

mod analyse;
mod decide;
mod entities;
mod examples;
mod explain;
mod facts;
pub mod limits;
mod lint;
mod load;
mod needs;
mod render;
mod request;
mod slices;
mod source;

pub use analyse::{Finding, FindingKind, analyse};
pub use decide::Verdict;
pub use examples::{Example, ExampleError};
pub use explain::Explanation;
pub use load::{Broken, Problem, ProblemKind, RuleRef, Rules};
pub use render::{DEFAULTS, FolderGrant, GrantAction, Granted, MODES, Who, render};
pub use request::{Action, Context, Mode, Place, Protection, Request, Resource, path_text};

/// The vocabulary: Cedar's schema language, with what each word means.
pub const SCHEMA: &str = include_str!("raincoat.cedarschema");

#[cfg(test)]
mod tests;
