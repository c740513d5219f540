//! The operations of an OpenAPI document.

use harness::Value;

use super::ids::Ids;

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    /// Method and path, where `{}` stands for every parameter.
    pub(crate) call: String,
    segments: Vec<String>,
}

const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

pub(crate) fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().expect("a document has paths");
    let methods = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path has methods").iter();
        methods
            .filter(|(method, _)| METHODS.contains(&method.as_str()))
            .map(move |(method, operation)| (path, method, operation))
    });
    methods.map(|(path, method, operation)| Operation::new(path, method, operation)).collect()
}

impl Operation {
    fn new(path: &str, method: &str, operation: &Value) -> Self {
        let segments: Vec<_> =
            path.split('/').map(|it| if it.starts_with('{') { "{}".to_owned() } else { it.to_owned() }).collect();
        let method = method.to_uppercase();
        let id = operation["operationId"]
            .as_str()
            .unwrap_or_else(|| panic!("{method} {path} has no operationId"))
            .to_owned();
        Self { id, call: format!("{method} {}", segments.join("/")), method, segments }
    }

    /// The path to what these ids name.
    pub(crate) fn path(&self, ids: &Ids) -> String {
        self.filled(|_| ids)
    }

    /// Whether the path names anything at all.
    pub(crate) fn names_something(&self) -> bool {
        self.places() > 0
    }

    /// Paths that begin with what is the stranger's own and go on, from some place, to what is another's; beside each
    /// the same path to what does not exist.
    pub(crate) fn mixtures(&self, stranger: &Ids, owner: &Ids, unknown: &Ids) -> Vec<(String, String)> {
        let mixture = |from: usize, rest| self.filled(|place| if place < from { stranger } else { rest });
        (1..self.places()).map(|from| (mixture(from, owner), mixture(from, unknown))).collect()
    }

    fn places(&self) -> usize {
        (0..self.segments.len()).filter(|index| self.is_id(*index)).count()
    }

    /// Whether an id stands there. A key is none: a tenant calls its own things as it likes.
    fn is_id(&self, index: usize) -> bool {
        self.segments[index] == "{}" && self.segments[index - 1] != "by-key"
    }

    fn filled<'a>(&self, ids_at: impl Fn(usize) -> &'a Ids) -> String {
        let mut place = 0;
        let mut filled: Vec<String> = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            if self.is_id(index) {
                filled.push(ids_at(place).named_by(&self.segments[index - 1]).to_owned());
                place += 1;
            } else {
                filled.push(segment.replace("{}", "a-key"));
            }
        }
        filled.join("/")
    }
}
