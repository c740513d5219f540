"""Whatever the packaging and the operators' pages name is there: settings, commands and flags of the programs, files."""

import pathlib
import re
import sys

PROGRAMS = ("hookyard", "hookyard-api", "hookyard-worker")

# A program and what follows it, where a command can begin: at a line's start, also behind a comment's; in a code span, a list
# or a shell's `$(`; behind another command that runs it, and behind the service or the image that it is run in.
COMMAND = re.compile(
    r"""
    (?: ^[ \t#]* | ` | \["? | [;|&(][ \t]* | --[ \t]+ | ExecStart= | --working-directory=\S+[ \t]+
        | \b(?:sudo|exec|api|worker|hookyard|migrate)[ \t]+ )
    (?:/usr/local/bin/)? (hookyard[a-z-]*) (?=[ \t`",\])]|$)
    ([^\n`|;&<>#)\]]*)
    """,
    re.M | re.X,
)
# Commands that operators are told to run: whoever does not find these finds none.
EXPECTED = {*PROGRAMS, "hookyard migrate", "hookyard keys create"}


def texts():
    """Everything that operators read or run, by file."""
    packaging = [file for file in pathlib.Path("packaging").rglob("*") if file.is_file() and file.name != ".env"]
    pages = pathlib.Path("docs/operations").rglob("*.md")
    return {file: file.read_text() for file in sorted([pathlib.Path("Dockerfile"), *packaging, *pages])}


class Sources:
    """What the programs know, as their sources say it to clap."""

    def __init__(self):
        crates = ("src", "api/src", "worker/src", "relay/src")
        texts = [file.read_text() for crate in crates for file in pathlib.Path(crate).rglob("*.rs")]
        self.settings = {name for text in texts for name in re.findall(r'env = "(HOOKYARD_[A-Z_]+)"', text)}
        self.flags = {"help", "version"}.union(*map(flags, texts))
        self.commands = commands("main")
        assert len(self.settings) > 15 and len(self.flags) > 15 and "migrate" in self.commands, "not understood any more"


def flags(text):
    """What clap makes of each field that is `long`."""
    fields = re.findall(r"#\[arg\((.*?)\)\]\s*(?:pub(?:\(crate\))? )?(\w+):", text, re.S)
    long = [(attribute, field) for attribute, field in fields if re.search(r"\blong\b", attribute)]
    said = [(re.search(r'\blong = "([a-z-]+)"', attribute), field) for attribute, field in long]
    return {name[1] if name else field.replace("_", "-") for name, field in said}


def commands(module):
    """What `enum Command` in a module of the program `hookyard` offers, as clap writes it."""
    file = pathlib.Path("src", f"{module}.rs")
    if not file.exists() or not (body := re.search(r"^(?:pub\S* )?enum Command \{(.*?)^\}", file.read_text(), re.M | re.S)):
        return set()
    return {re.sub(r"(?<!^)([A-Z])", r"-\1", name).lower() for name in re.findall(r"^    ([A-Z]\w*)[,({]", body[1], re.M)}


def unknown_settings(sources, text):
    for name in re.findall(r"\bHOOKYARD_[A-Z_]*[A-Z]\b(?!\*|_)", text):
        if name not in sources.settings:
            yield f"there is no setting {name}"


def invocations(text):
    """Programs with the words that follow them, and with all that does."""
    for program, rest in COMMAND.findall(text):
        words = re.findall(r"[^\s\",]+", rest)
        # An image of that name, and what runs in it.
        if not words or words[0] not in PROGRAMS:
            yield program, words


def unknown_commands(sources, text):
    for program, words in invocations(text):
        if program not in PROGRAMS:
            yield f"there is no program {program}"
        for flag in re.findall(r"^--([a-z-]+)", "\n".join(words), re.M):
            if flag not in sources.flags:
                yield f"there is no --{flag}, in `{program} {' '.join(words)}`"
        if program == "hookyard" and words and re.fullmatch(r"[a-z-]+", words[0]) and not words[0].startswith("-"):
            if words[0] not in sources.commands:
                yield f"there is no command {program} {words[0]}"
            elif (below := commands(words[0])) and words[1:2] not in [[name] for name in below]:
                yield f"{program} {words[0]} is followed by one of {sorted(below)}"


def missing_files(file, text):
    for name in re.findall(r"(?<![\w/])(?:packaging|docs)/[\w./-]*\w", text):
        if not pathlib.Path(name).exists() and name != "packaging/.env":
            yield f"there is no {name}"
    for name in re.findall(r"hookyard[a-z-]*\.(?:service|sysusers)", text):
        if not pathlib.Path("packaging/systemd", name).exists():
            yield f"there is no packaging/systemd/{name}"
    if file.suffix == ".md":
        for name in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            if not file.parent.joinpath(name).exists():
                yield f"there is no {name}"


def complaints():
    sources, found = Sources(), set()
    for file, text in texts().items():
        for complaint in (*unknown_settings(sources, text), *unknown_commands(sources, text), *missing_files(file, text)):
            yield f"{file}: {complaint}"
        for program, words in invocations(text):
            found.update({program, " ".join([program, *words[:1]]), " ".join([program, *words[:2]])})
    if missed := EXPECTED - found:
        yield f"{sorted(missed)} were not found anywhere: commands are not understood any more"


sys.exit("\n".join(complaints()) or None)
