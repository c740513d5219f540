//! What is wrong with a filter, and where.

use super::parse::{DEEPEST, DEEPEST_POINTER, LONGEST_FILTER, LONGEST_LIST, LONGEST_TEXT, MOST_OPERATORS};

/// Not a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{mistake}", if pointer.is_empty() { String::new() } else { format!("{pointer} ") })]
pub struct NotAFilter {
    /// A JSON pointer into the filter.
    pub pointer: String,
    pub mistake: Mistake,
}

/// What is wrong there, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// No object where a filter has to stand.
    #[error("must be an object with `body`, `headers`, `query`, `attributes`, `$and`, `$or` or `$not`")]
    NoObject,
    /// A filter that demands nothing.
    #[error("must demand something; leave the filter out to have every event")]
    Empty,
    /// A member of a filter that is neither a section nor combines filters.
    #[error("is none of `body`, `headers`, `query`, `attributes`, `$and`, `$or` and `$not`")]
    UnknownMember,
    /// No object where a section has to stand.
    #[error("must be an object of names and what must hold of each")]
    NoSection,
    /// A section without names.
    #[error("must name something; leave it out to demand nothing of it")]
    EmptySection,
    /// A name in `body` that is no pointer as RFC 6901 has it.
    #[error(
        "must be a JSON pointer, such as `/a/b`, or empty for the whole body; in a name, `~0` is `~` and `~1` is `/`"
    )]
    NoPointer,
    /// A pointer of more levels than `DEEPEST_POINTER`.
    #[error("must be a pointer to at most {DEEPEST_POINTER} levels")]
    DeepPointer,
    /// A name in `headers` that no header can have.
    #[error("must be the name of a header, such as `x-env`")]
    NoHeader,
    /// A name that is empty, longer than `LONGEST_TEXT` or cannot be told.
    #[error("must be a name of 1 to {LONGEST_TEXT} bytes without control characters")]
    NoName,
    /// An operator in a section, as some other products have it.
    #[error("is an operator in the place of a name; `$and`, `$or` and `$not` stand beside `body` or under a name")]
    OperatorAsName,
    /// A list in the place of a condition.
    #[error("must not be a list; to demand one of its items, write `{{\"$in\": […]}}`")]
    BareList,
    /// A condition without operators.
    #[error("must have an operator, such as `{{\"$exists\": true}}`")]
    EmptyCondition,
    /// A name in the place of an operator.
    #[error("is no operator; a nested member is written as a pointer: `\"/a/b\": …`, not `\"/a\": {{\"b\": …}}`")]
    NestedMember,
    /// An operator as others call it, or in another case.
    #[error("is no operator; write `{0}`")]
    Misspelt(&'static str),
    /// An operator that there is not.
    #[error(
        "is no operator; there are `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$nin`, `$startsWith`, `$endsWith`, \
         `$contains`, `$exists`, `$and`, `$or` and `$not`"
    )]
    UnknownOperator,
    /// A number that was not read as it was written.
    #[error("must be a whole number that 64 bits hold, or one below 2^53")]
    BigNumber,
    /// A list or an object to be equal to.
    #[error("must be a string, a number, true, false or null")]
    NoScalar,
    /// Something that has no order.
    #[error("must be a number or a string")]
    NoNumberOrText,
    /// Neither a text nor texts.
    #[error("must be a string or a list of strings")]
    NoTexts,
    /// Neither true nor false.
    #[error("must be true or false")]
    NoBool,
    /// No list of operands, or one that is empty or longer than `LONGEST_LIST`.
    #[error("must be a list of 1 to {LONGEST_LIST} items")]
    NoList,
    /// Nothing that `$and` or `$or` could combine.
    #[error("must be a list with at least one item, each written as what stands around `$and` or `$or` is")]
    NoAlternatives,
    /// A text to compare with that is longer than `LONGEST_TEXT`.
    #[error("must be at most {LONGEST_TEXT} bytes long")]
    LongText,
    /// A filter that is longer than `LONGEST_FILTER`.
    #[error("must be at most {LONGEST_FILTER} bytes long in all, as JSON without spaces")]
    LongFilter,
    /// More operators than `MOST_OPERATORS`.
    #[error("is one operator more than the {MOST_OPERATORS} that a filter can have")]
    ManyOperators,
    /// What combines stands in itself deeper than `DEEPEST`.
    #[error("is nested too deep: `$and`, `$or` and `$not` can stand in each other at most {DEEPEST} deep")]
    Deep,
}

impl NotAFilter {
    /// The same mistake as seen from one level above.
    pub(super) fn below(self, name: &str) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("/{name}{}", self.pointer), ..self }
    }
}

impl From<Mistake> for NotAFilter {
    fn from(mistake: Mistake) -> Self {
        Self { pointer: String::new(), mistake }
    }
}
