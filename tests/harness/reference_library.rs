//! The reference libraries of Standard Webhooks in other languages, as receivers of our deliveries.

use std::io::{Seek, Write};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, json};

use crate::interop;
use crate::program::{output_of, words};
use crate::receiver::Request;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Python,
    JavaScript,
}

pub const LANGUAGES: [Language; 2] = [Language::Python, Language::JavaScript];

impl Language {
    /// What the library says of each request by this key (`whsec_…` or `whpk_…`): [`VERIFIED`], or why not.
    pub async fn verdicts(self, questions: &[(&Request, &str)]) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        for (request, key) in questions {
            let headers: Map<_, _> =
                request.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            let body = STANDARD.encode(&request.body);
            writeln!(file, "{}", json!({ "key": key, "headers": headers, "body": body })).unwrap();
        }
        file.rewind().unwrap();
        let mut command = self.command();
        let output = output_of(command.stdin(file), &format!("{self:?}'s answers")).await;
        let answers: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        assert!(output.status.success() && answers.len() == questions.len(), "{self:?}:\n{}", words(&output));
        answers
    }

    fn command(self) -> Command {
        match self {
            Self::Python => interop::python("verify.py"),
            Self::JavaScript => interop::node("verify.mjs"),
        }
    }
}

pub const VERIFIED: &str = "verified";
/// As both libraries put it.
pub const NO_SIGNATURE: &str = "No matching signature found";
pub const TOO_OLD: &str = "Message timestamp too old";
