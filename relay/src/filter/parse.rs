//! Reads a filter out of its JSON.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::clause::{Clause, Test};
use super::mistake::{Mistake, NotAFilter};
use super::operator::Operator;
use super::place::{Place, Section};

/// In bytes of JSON without spaces. A row of the database stays small, and so does what is kept of it in memory.
pub(super) const LONGEST_FILTER: usize = 16 * 1024;
/// Each costs up to one pass over what it is about.
pub(super) const MOST_OPERATORS: usize = 64;
/// Of `$and`, `$or` and `$not` in each other. Nobody reads deeper ones; evaluation recurses so deep and no deeper.
pub(super) const DEEPEST: usize = 8;
/// In bytes, of a name and of a text to compare with. Ids, states and URLs are shorter.
pub(super) const LONGEST_TEXT: usize = 512;
/// Of operands. Each is compared with each value; a longer list belongs into what receives the events.
pub(super) const LONGEST_LIST: usize = 100;
/// Of a pointer. Following it costs memory and stack for each level; documents are not that deep.
pub(super) const DEEPEST_POINTER: usize = 64;

/// What the filter demands, and the places that it is about.
pub(super) fn parse(filter: &Value) -> Result<(Clause, Vec<Place>), NotAFilter> {
    if filter.to_string().len() > LONGEST_FILTER {
        return Err(Mistake::LongFilter.into());
    }
    let mut reader = Reader::default();
    let clause = reader.filter(filter, 0)?;
    Ok((clause, reader.places))
}

#[derive(Debug, Default)]
struct Reader {
    places: Vec<Place>,
    operators: usize,
}

/// What conditions are about.
struct Name {
    place: usize,
    words: String,
}

impl Reader {
    fn filter(&mut self, filter: &Value, depth: usize) -> Result<Clause, NotAFilter> {
        let members = filter.as_object().ok_or(Mistake::NoObject)?;
        each(members, Mistake::Empty, |member, value| match member {
            "$and" | "$or" | "$not" => self.combined(member, value, None, depth),
            _ => self.section(member, value, depth),
        })
    }

    fn section(&mut self, section: &str, value: &Value, depth: usize) -> Result<Clause, NotAFilter> {
        let kind = Section::named(section).ok_or(Mistake::UnknownMember)?;
        let names = value.as_object().ok_or(Mistake::NoSection)?;
        each(names, Mistake::EmptySection, |name, condition| {
            kind.check(name)?;
            let words = if name.is_empty() { section.to_owned() } else { format!("{section} {name}") };
            let name = Name { place: self.place(kind, name), words };
            self.condition(condition, &name, depth)
        })
    }

    fn place(&mut self, section: Section, name: &str) -> usize {
        let known = self.places.iter().position(|known| known.section == section && known.name == name);
        known.unwrap_or_else(|| {
            self.places.push(Place { section, name: name.to_owned(), sought: BTreeSet::new() });
            self.places.len() - 1
        })
    }

    fn condition(&mut self, condition: &Value, of: &Name, depth: usize) -> Result<Clause, NotAFilter> {
        match condition {
            Value::Array(_) => Err(Mistake::BareList.into()),
            Value::Object(operators) => each(operators, Mistake::EmptyCondition, |operator, operand| match operator {
                "$and" | "$or" | "$not" => self.combined(operator, operand, Some(of), depth),
                _ => self.test(operator, operand, of),
            }),
            _ => self.test("$eq", condition, of),
        }
    }

    /// Combines conditions of this name, or else filters.
    fn combined(&mut self, how: &str, value: &Value, of: Option<&Name>, depth: usize) -> Result<Clause, NotAFilter> {
        if depth == DEEPEST {
            return Err(Mistake::Deep.into());
        }
        let mut read = |value: &Value| match of {
            Some(name) => self.condition(value, name, depth + 1),
            None => self.filter(value, depth + 1),
        };
        if how == "$not" {
            return Ok(Clause::Not(Box::new(read(value)?)));
        }
        let items = value.as_array().filter(|items| !items.is_empty()).ok_or(Mistake::NoAlternatives)?;
        let clauses = items.iter().enumerate();
        let clauses = clauses.map(|(index, item)| read(item).map_err(|mistake| mistake.below(&index.to_string())));
        let clauses = clauses.collect::<Result<_, _>>()?;
        Ok(if how == "$and" { Clause::all(clauses) } else { Clause::any(clauses) })
    }

    fn test(&mut self, operator: &str, operand: &Value, of: &Name) -> Result<Clause, NotAFilter> {
        self.operators += 1;
        if self.operators > MOST_OPERATORS {
            return Err(Mistake::ManyOperators.into());
        }
        let words = format!("{} {operator} {operand}", of.words);
        let (operator, is_wanted) = Operator::read(operator, operand)?;
        if let Operator::Contains(wanted) = &operator {
            self.places[of.place].sought.insert(wanted.clone());
        }
        Ok(Clause::Test(Test { place: of.place, operator, is_wanted, words }))
    }
}

/// All of what is said in the members of an object, of which there must be some.
fn each(
    members: &Map<String, Value>,
    if_empty: Mistake,
    mut read: impl FnMut(&str, &Value) -> Result<Clause, NotAFilter>,
) -> Result<Clause, NotAFilter> {
    if members.is_empty() {
        return Err(if_empty.into());
    }
    let clauses = members.iter().map(|(name, value)| read(name, value).map_err(|mistake| mistake.below(name)));
    Ok(Clause::all(clauses.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Filter;
    use super::*;

    fn refused(filter: &Value) -> (String, Mistake) {
        let error = Filter::try_from(filter.clone()).expect_err(&filter.to_string());
        if error.pointer.len() < 1000 {
            assert!(filter.pointer(&error.pointer).is_some(), "{error} is not in {filter}");
        }
        (error.pointer, error.mistake)
    }

    fn is_taken(filter: Value) -> bool {
        Filter::try_from(filter).is_ok()
    }

    #[test]
    fn what_is_no_filter_is_refused_where_it_is_wrong() {
        for (filter, pointer, mistake) in [
            (json!(null), "", Mistake::NoObject),
            (json!([{"body": {"/a": 1}}]), "", Mistake::NoObject),
            (json!("x"), "", Mistake::NoObject),
            (json!({}), "", Mistake::Empty),
            (json!({"body": {"/a": 1}, "header": {"a": 1}}), "/header", Mistake::UnknownMember),
            (json!({"/a/b~": 1}), "/~1a~1b~0", Mistake::UnknownMember),
            (json!({"$eq": 1}), "/$eq", Mistake::UnknownMember),
            (json!({"$nor": []}), "/$nor", Mistake::UnknownMember),
            (json!({"body": 1}), "/body", Mistake::NoSection),
            (json!({"body": [{"/a": 1}]}), "/body", Mistake::NoSection),
            (json!({"query": {}}), "/query", Mistake::EmptySection),
            (json!({"body": {"a": 1}}), "/body/a", Mistake::NoPointer),
            (json!({"body": {"a/b": 1}}), "/body/a~1b", Mistake::NoPointer),
            (json!({"body": {"$.a": 1}}), "/body/$.a", Mistake::NoPointer),
            (json!({"body": {"/~2": 1}}), "/body/~1~02", Mistake::NoPointer),
            (json!({"body": {"/a~": 1}}), "/body/~1a~0", Mistake::NoPointer),
            (json!({"body": {"/a\n": 1}}), "/body/~1a\n", Mistake::NoName),
            (json!({"headers": {"": 1}}), "/headers/", Mistake::NoHeader),
            (json!({"headers": {"x env": 1}}), "/headers/x env", Mistake::NoHeader),
            (json!({"headers": {"x-\u{e9}": 1}}), "/headers/x-\u{e9}", Mistake::NoHeader),
            (json!({"query": {"": 1}}), "/query/", Mistake::NoName),
            (json!({"query": {"a\0": 1}}), "/query/a\0", Mistake::NoName),
            (json!({"attributes": {"": 1}}), "/attributes/", Mistake::NoName),
            (json!({"body": {"$or": [{"/a": 1}]}}), "/body/$or", Mistake::OperatorAsName),
            (json!({"headers": {"$startsWith": "a"}}), "/headers/$startsWith", Mistake::OperatorAsName),
            (json!({"query": {"$EQ": "a"}}), "/query/$EQ", Mistake::OperatorAsName),
        ] {
            assert_eq!(refused(&filter), (pointer.to_owned(), mistake), "{filter}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_where_it_is_wrong() {
        let long = "x".repeat(LONGEST_TEXT + 1);
        for (condition, below, mistake) in [
            (json!(["a"]), "", Mistake::BareList),
            (json!([]), "", Mistake::BareList),
            (json!({}), "", Mistake::EmptyCondition),
            (json!({"b/c": "x"}), "/b~1c", Mistake::NestedMember),
            (json!({"$eq": 1, "b": 2}), "/b", Mistake::NestedMember),
            (json!({"": 2}), "/", Mistake::NestedMember),
            (json!({"$neq": 1}), "/$neq", Mistake::Misspelt("$ne")),
            (json!({"$exist": true}), "/$exist", Mistake::Misspelt("$exists")),
            (json!({"$startswith": "a"}), "/$startswith", Mistake::Misspelt("$startsWith")),
            (json!({"$OR": ["a"]}), "/$OR", Mistake::Misspelt("$or")),
            (json!({"$regex": "a"}), "/$regex", Mistake::UnknownOperator),
            (json!({"$": "a"}), "/$", Mistake::UnknownOperator),
            (json!({"$a/b~": "a"}), "/$a~1b~0", Mistake::UnknownOperator),
            (json!({"$eq": 1e16}), "/$eq", Mistake::BigNumber),
            (json!({"$lt": -1e300}), "/$lt", Mistake::BigNumber),
            (json!({"$eq": ["a"]}), "/$eq", Mistake::NoScalar),
            (json!({"$ne": {"b": 1}}), "/$ne", Mistake::NoScalar),
            (json!({"$contains": ["a"]}), "/$contains", Mistake::NoScalar),
            (json!({"$gt": true}), "/$gt", Mistake::NoNumberOrText),
            (json!({"$gte": null}), "/$gte", Mistake::NoNumberOrText),
            (json!({"$lt": [1]}), "/$lt", Mistake::NoNumberOrText),
            (json!({"$lte": {}}), "/$lte", Mistake::NoNumberOrText),
            (json!({"$in": "a"}), "/$in", Mistake::NoList),
            (json!({"$in": []}), "/$in", Mistake::NoList),
            (json!({"$nin": {"a": 1}}), "/$nin", Mistake::NoList),
            (json!({"$nin": ["a", ["b"]]}), "/$nin/1", Mistake::NoScalar),
            (json!({"$startsWith": 1}), "/$startsWith", Mistake::NoTexts),
            (json!({"$startsWith": []}), "/$startsWith", Mistake::NoList),
            (json!({"$endsWith": ["a", null]}), "/$endsWith/1", Mistake::NoTexts),
            (json!({"$exists": 1}), "/$exists", Mistake::NoBool),
            (json!({"$exists": "true"}), "/$exists", Mistake::NoBool),
            (json!({"$or": []}), "/$or", Mistake::NoAlternatives),
            (json!({"$and": {"$eq": 1}}), "/$and", Mistake::NoAlternatives),
            (json!({"$or": [1, [2]]}), "/$or/1", Mistake::BareList),
            (json!({"$not": [1]}), "/$not", Mistake::BareList),
            (json!({"$not": {"$and": [{"$in": [{}]}]}}), "/$not/$and/0/$in/0", Mistake::NoScalar),
            (json!(long), "", Mistake::LongText),
            (json!({"$contains": long}), "/$contains", Mistake::LongText),
            (json!({"$in": ["a", long]}), "/$in/1", Mistake::LongText),
            (json!({"$gt": long}), "/$gt", Mistake::LongText),
            (json!({"$endsWith": ["a", long]}), "/$endsWith/1", Mistake::LongText),
        ] {
            for (section, name, at) in [("body", "/a/b~1", "/body/~1a~1b~01"), ("headers", "x-a", "/headers/x-a")] {
                let filter = json!({section: {name: condition}});
                assert_eq!(refused(&filter), (format!("{at}{below}"), mistake), "{filter}");
                let filter = json!({"$or": [{"query": {"a": 1}}, {"$not": filter}]});
                assert_eq!(refused(&filter), (format!("/$or/1/$not{at}{below}"), mistake));
            }
        }
    }

    #[test]
    fn what_combines_filters_is_refused_where_it_is_wrong() {
        for (filter, pointer, mistake) in [
            (json!({"$and": []}), "/$and", Mistake::NoAlternatives),
            (json!({"$or": {"body": {"/a": 1}}}), "/$or", Mistake::NoAlternatives),
            (json!({"$or": [{"body": {"/a": 1}}, {}]}), "/$or/1", Mistake::Empty),
            (json!({"$or": ["a"]}), "/$or/0", Mistake::NoObject),
            (json!({"$or": [{"$eq": 1}]}), "/$or/0/$eq", Mistake::UnknownMember),
            (json!({"$not": {}}), "/$not", Mistake::Empty),
            (json!({"$not": [{"body": {"/a": 1}}]}), "/$not", Mistake::NoObject),
        ] {
            assert_eq!(refused(&filter), (pointer.to_owned(), mistake), "{filter}");
        }
    }

    #[test]
    fn a_filter_has_its_bounds() {
        let of_length = |length: usize| {
            let mut texts = vec!["x".repeat(LONGEST_TEXT); LONGEST_FILTER / LONGEST_TEXT];
            let filter = |texts: &[String]| json!({"query": {"a": {"$in": texts}}});
            texts[0].clear();
            texts[0] = "x".repeat(length - filter(&texts).to_string().len());
            filter(&texts)
        };
        assert!(is_taken(of_length(LONGEST_FILTER)));
        assert_eq!(refused(&of_length(LONGEST_FILTER + 1)), (String::new(), Mistake::LongFilter));

        let of_items = |count: usize| json!({"query": {"a": {"$in": vec![1; count]}}});
        assert!(is_taken(of_items(LONGEST_LIST)));
        assert_eq!(refused(&of_items(LONGEST_LIST + 1)), ("/query/a/$in".to_owned(), Mistake::NoList));
        let of_texts = |count: usize| json!({"query": {"a": {"$endsWith": vec!["x"; count]}}});
        assert!(is_taken(of_texts(LONGEST_LIST)));
        assert_eq!(refused(&of_texts(LONGEST_LIST + 1)), ("/query/a/$endsWith".to_owned(), Mistake::NoList));

        let of_text = |length: usize| json!({"query": {"a": "\u{e9}".repeat(length / 2) + &"x".repeat(length % 2)}});
        assert!(is_taken(of_text(LONGEST_TEXT)));
        assert_eq!(refused(&of_text(LONGEST_TEXT + 1)), ("/query/a".to_owned(), Mistake::LongText));

        for (section, start) in [("body", "/"), ("headers", ""), ("query", ""), ("attributes", "")] {
            let of_name = |length: usize| json!({section: {format!("{start}{}", "x".repeat(length - start.len())): 1}});
            assert!(is_taken(of_name(LONGEST_TEXT)), "{section}");
            assert_eq!(refused(&of_name(LONGEST_TEXT + 1)).1, Mistake::NoName, "{section}");
        }
        assert!(is_taken(json!({"body": {"/0".repeat(DEEPEST_POINTER): 1}})));
        assert_eq!(refused(&json!({"body": {"/0".repeat(DEEPEST_POINTER + 1): 1}})).1, Mistake::DeepPointer);
    }

    #[test]
    fn a_filter_has_a_bound_of_operators_wherever_they_stand() {
        let of_operators = |count: usize| {
            json!({
                "query": {"a": {"$gt": 1, "$lt": 2, "$not": {"$ne": 3}}, "b": true},
                "$or": vec![json!({"headers": {"a": {"$or": ["b"]}}}); count - 4],
            })
        };
        assert!(is_taken(of_operators(MOST_OPERATORS)));
        let (pointer, mistake) = refused(&of_operators(MOST_OPERATORS + 1));
        assert_eq!((pointer.as_str(), mistake), ("/query/b", Mistake::ManyOperators));
    }

    #[test]
    fn what_combines_stands_only_so_deep_in_itself() {
        let within = |mut inner: Value, names: &[&str]| {
            for name in names {
                inner = if *name == "$not" { json!({*name: inner}) } else { json!({*name: [inner]}) };
            }
            inner
        };
        let kinds = ["$not", "$and", "$or", "$and"];
        for outside in 0..=DEEPEST {
            let names: Vec<_> = kinds.iter().copied().cycle().take(DEEPEST).collect();
            let (out, inside) = names.split_at(outside);
            let of_depth = |more: &[&str]| {
                let condition = within(within(json!("x"), more), inside);
                within(json!({"body": {"/a": condition}}), out)
            };
            assert!(is_taken(of_depth(&[])), "{outside}");
            for more in kinds {
                assert_eq!(refused(&of_depth(&[more])).1, Mistake::Deep, "{outside} {more}");
            }
        }
        let mut filter = json!({"query": {"a": 1}});
        for _ in 0..=DEEPEST {
            filter = json!({"$not": filter});
        }
        assert_eq!(refused(&filter), ("/$not".repeat(DEEPEST + 1), Mistake::Deep));
    }

    #[test]
    fn a_mistake_says_what_to_do() {
        for (filter, said) in [
            (json!({}), "must demand something; leave the filter out to have every event"),
            (
                json!({"body": {"/Payload/status": ["Approved"]}}),
                "/body/~1Payload~1status must not be a list; to demand one of its items, write `{\"$in\": […]}`",
            ),
            (
                json!({"body": {"/Payload": {"status": "Approved"}}}),
                "/body/~1Payload/status is no operator; a nested member is written as a pointer: `\"/a/b\": …`, not `\"/a\": {\"b\": …}`",
            ),
            (json!({"headers": {"a": {"$neq": 1}}}), "/headers/a/$neq is no operator; write `$ne`"),
            (json!({"headers": {"a": {"$in": []}}}), "/headers/a/$in must be a list of 1 to 100 items"),
        ] {
            assert_eq!(Filter::try_from(filter).unwrap_err().to_string(), said);
        }
    }
}
