//! Parses Kconfig files into the table of symbols.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::expr::Expr;
use super::files::{SourceFiles, Unreadable};
use super::token::{Lines, Op, Token, Variables, tokens};
use super::words::{assignment, at_end, atom_of, below, kind_of, text_of};
use super::{
    Choice, DefaultValue, Definition, Guard, Kconfig, KconfigPlace, Oddity, Prompt, Range, Scope, ScopeId, ScopeKind,
    Select, SymbolType,
};

/// How deep files may include each other; Linux has 8 levels.
const DEEPEST: usize = 64;

/// How deep `if`, `menu` and `choice` may nest; Linux has 9 levels.
const DEEPEST_BLOCK: usize = 100;

/// Limits on the number of files, each counted as often as it is included, and on their total bytes. Linux has 1,700
/// files and 5 MB.
const MOST_FILES: usize = 20_000;
const MOST_BYTES: u64 = 32 << 20;

pub(super) fn parse(root: SourceFiles, top: &str, variables: Variables) -> Kconfig {
    let place = KconfigPlace { file: top.into(), line: 1 };
    let scope = Scope {
        parent: None,
        depth: 0,
        kind: ScopeKind::Root,
        title: String::new(),
        place: place.clone(),
        depends: Vec::new(),
        visible: Vec::new(),
    };
    let kconfig = Kconfig {
        symbols: HashMap::new(),
        order: Vec::new(),
        oddities: Vec::new(),
        scopes: vec![scope],
        selectors: HashMap::new(),
        environment: HashMap::new(),
        root,
        elsewhere: OnceLock::new(),
    };
    let (open, files_left, bytes_left) = (Vec::new(), MOST_FILES, MOST_BYTES);
    let mut parser = Parser { kconfig, variables, open, files_left, bytes_left };
    if let Err(what) = parser.file(top, ScopeId(0)) {
        parser.kconfig.oddities.push(Oddity { place, what });
    }
    parser.kconfig.index_selectors();
    parser.kconfig
}

impl Kconfig {
    fn index_selectors(&mut self) {
        for (name, symbol) in &self.symbols {
            for (definition, block) in symbol.definitions.iter().enumerate() {
                for (index, select) in block.selects.iter().enumerate() {
                    let found = self.selectors.entry(select.symbol.clone()).or_default();
                    found.push((name.clone(), definition, index));
                }
            }
        }
        self.selectors.values_mut().for_each(|found| found.sort());
    }
}

struct Parser {
    kconfig: Kconfig,
    variables: Variables,
    /// The files that are being read, each included by the one before.
    open: Vec<String>,
    files_left: usize,
    bytes_left: u64,
}

/// What the attribute lines belong to.
enum Subject {
    /// A comment, or nothing: the attributes do not concern symbols.
    Nobody,
    /// The last definition of a symbol.
    Symbol(String),
    /// A menu or choice.
    Scope(ScopeId),
}

impl Parser {
    /// Parses one file into a scope.
    fn file(&mut self, path: &str, scope: ScopeId) -> Result<(), String> {
        if self.open.iter().any(|open| open == path) {
            return Err(format!("{path} includes itself"));
        }
        let bytes = self.read(path)?;
        self.open.push(path.to_owned());
        let text = String::from_utf8_lossy(&bytes);
        let file: Arc<str> = path.into();
        let mut lines = Lines::new(&text);
        let mut reader = File { scope, outermost: scope, subject: Subject::Nobody, path: file.clone() };
        while let Some((line, text)) = lines.next() {
            let place = KconfigPlace { file: file.clone(), line };
            match self.line(&mut reader, &place, &text) {
                Ok(Next::Line) => {}
                Ok(Next::Help) => lines.skip_help(),
                Err(what) => self.kconfig.oddities.push(Oddity { place, what }),
            }
        }
        self.open.pop();
        if reader.scope != scope {
            let place = self.kconfig.scopes[reader.scope.0].place.clone();
            self.kconfig.oddities.push(Oddity { place, what: "the block is not closed in its file".to_owned() });
        }
        Ok(())
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let too_many = || format!("{path}: the Kconfig files are more than {MOST_FILES}, or {MOST_BYTES} bytes in all");
        self.files_left = self.files_left.checked_sub(1).ok_or_else(too_many)?;
        let bytes = self.kconfig.root.read(path, self.bytes_left).map_err(|error| match error {
            Unreadable::TooLarge => too_many(),
            error => format!("can't read {path}: {error}"),
        })?;
        self.bytes_left -= bytes.len() as u64;
        Ok(bytes)
    }

    fn line(&mut self, file: &mut File, place: &KconfigPlace, text: &str) -> Result<Next, String> {
        let start = text.trim();
        // A line that consists of a macro is there for what it prints or rejects.
        if start.is_empty() || start.starts_with('#') || start.starts_with("$(") {
            return Ok(Next::Line);
        }
        if let Some((name, operator, value)) = assignment(start) {
            match operator {
                "+=" => self.variables.append(name, value),
                _ => self.variables.set(name, value),
            }
            return Ok(Next::Line);
        }
        let tokens = tokens(start, &self.variables)?;
        let Some((Token::Word(keyword), rest)) = tokens.split_first() else {
            return Err(format!("expected a keyword, found `{start}`"));
        };
        match keyword.as_str() {
            "help" | "---help---" => return Ok(Next::Help),
            "config" | "menuconfig" => self.config(file, place, rest)?,
            "menu" | "choice" => {
                let kind = match keyword.as_str() {
                    "menu" => ScopeKind::Menu,
                    _ => ScopeKind::Choice(Choice::default()),
                };
                let title = rest.first().map(text_of).unwrap_or_default();
                let scope = self.open(file, kind, title, place)?;
                file.subject = Subject::Scope(scope);
            }
            "if" => {
                let guard = self.guard(rest, place)?;
                let scope = self.open(file, ScopeKind::If, String::new(), place)?;
                self.kconfig.scopes[scope.0].depends.push(guard);
                file.subject = Subject::Nobody;
            }
            "endmenu" | "endchoice" | "endif" => {
                file.subject = Subject::Nobody;
                return self.close(file, keyword);
            }
            "comment" | "mainmenu" => file.subject = Subject::Nobody,
            "source" | "osource" | "rsource" | "orsource" => {
                file.subject = Subject::Nobody;
                self.source(file, keyword, rest)?;
            }
            _ => self.attribute(&file.subject, keyword, rest, place)?,
        }
        Ok(Next::Line)
    }

    fn config(&mut self, file: &mut File, place: &KconfigPlace, rest: &[Token]) -> Result<(), String> {
        let [Token::Word(name)] = rest else {
            file.subject = Subject::Nobody;
            return Err("expected a symbol's name".to_owned());
        };
        let definition = Definition {
            place: place.clone(),
            scope: file.scope,
            prompt: None,
            depends: Vec::new(),
            defaults: Vec::new(),
            selects: Vec::new(),
            ranges: Vec::new(),
            transitional: false,
        };
        let symbol = self.kconfig.symbols.entry(name.clone()).or_default();
        if symbol.definitions.is_empty() {
            self.kconfig.order.push(name.clone());
        }
        symbol.definitions.push(definition);
        // A member may be inside an `if` within its choice.
        let mut at = Some(file.scope);
        while let Some(id) = at {
            let scope = &mut self.kconfig.scopes[id.0];
            if let ScopeKind::Choice(choice) = &mut scope.kind {
                choice.members.push(name.clone());
                break;
            }
            at = scope.parent;
        }
        file.subject = Subject::Symbol(name.clone());
        Ok(())
    }

    fn open(
        &mut self,
        file: &mut File,
        kind: ScopeKind,
        title: String,
        place: &KconfigPlace,
    ) -> Result<ScopeId, String> {
        let id = ScopeId(self.kconfig.scopes.len());
        let parent = Some(file.scope);
        let depth = self.kconfig.scopes[file.scope.0].depth + 1;
        if depth > DEEPEST_BLOCK {
            return Err(format!("blocks nest more than {DEEPEST_BLOCK} levels deep"));
        }
        let (place, depends, visible) = (place.clone(), Vec::new(), Vec::new());
        self.kconfig.scopes.push(Scope { parent, depth, kind, title, place, depends, visible });
        file.scope = id;
        Ok(id)
    }

    fn close(&mut self, file: &mut File, keyword: &str) -> Result<Next, String> {
        let scope = &self.kconfig.scopes[file.scope.0];
        let fits = matches!(
            (&scope.kind, keyword),
            (ScopeKind::Menu, "endmenu") | (ScopeKind::If, "endif") | (ScopeKind::Choice(_), "endchoice")
        );
        match scope.parent {
            Some(parent) if fits && file.scope != file.outermost => {
                file.scope = parent;
                Ok(Next::Line)
            }
            _ => Err(format!("unmatched `{keyword}`")),
        }
    }

    fn source(&mut self, file: &File, keyword: &str, rest: &[Token]) -> Result<(), String> {
        let [Token::Word(path) | Token::Text(path)] = rest else {
            return Err("expected the path of a file".to_owned());
        };
        let optional = keyword.starts_with('o');
        let path = match keyword {
            "rsource" | "orsource" => {
                let folder = Path::new(&*file.path).parent().unwrap_or(Path::new(""));
                folder.join(path).to_string_lossy().into_owned()
            }
            // If $(srctree) is another folder, `conf` looks there first; here both are the same folder.
            _ => path.strip_prefix("./").unwrap_or(path).to_owned(),
        };
        let path = below(&path).ok_or_else(|| format!("{path} is not below the source's root"))?;
        let paths = if path.contains(['*', '?', '[']) { self.matching(&path)? } else { vec![path.clone()] };
        if paths.is_empty() && !optional {
            return Err(format!("no file matches {path}"));
        }
        if self.open.len() > DEEPEST {
            return Err(format!("{path} is included through more than {DEEPEST} files"));
        }
        let mut result = Ok(());
        for path in paths {
            if !optional || self.kconfig.root.has_file(&path) {
                result = result.and(self.file(&path, file.scope));
            }
        }
        result
    }

    /// The files that match a pattern, sorted, relative to the root.
    fn matching(&self, pattern: &str) -> Result<Vec<String>, String> {
        let mut found = vec![String::new()];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let fits = glob::Pattern::new(part).map_err(|error| error.to_string())?;
            let mut below = Vec::new();
            for folder in &found {
                let join = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                if !part.contains(['*', '?', '[']) {
                    below.push(join(part));
                    continue;
                }
                let items = self.kconfig.root.list(folder);
                let names = items.iter().map(|item| item.name.as_str()).filter(|name| fits.matches(name));
                below.extend(names.map(join));
            }
            found = below;
        }
        found.retain(|path| self.kconfig.root.has_file(path));
        Ok(found)
    }

    fn guard(&self, mut tokens: &[Token], place: &KconfigPlace) -> Result<Guard, String> {
        let mut condition = Expr::parse(&mut tokens)?;
        // `depends on A if B`, since Linux 6.19: A only matters if B is true.
        if let Some(when) = self.condition(&mut tokens)? {
            condition = Expr::Or(vec![condition, Expr::Not(Box::new(when))]);
        }
        at_end(tokens)?;
        Ok(Guard { condition, place: place.clone() })
    }

    /// `if EXPR`, if present.
    fn condition(&self, tokens: &mut &[Token]) -> Result<Option<Expr>, String> {
        match tokens.split_first() {
            Some((Token::Word(word), rest)) if word == "if" => {
                *tokens = rest;
                Expr::parse(tokens).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn attribute(
        &mut self,
        subject: &Subject,
        keyword: &str,
        rest: &[Token],
        place: &KconfigPlace,
    ) -> Result<(), String> {
        let mut rest = rest;
        let place = place.clone();
        let kind = kind_of(keyword);
        match (keyword, kind) {
            ("depends" | "visible", _) => {
                if let Some((Token::Word(word), after)) = rest.split_first()
                    && (word == "on" || word == "if")
                {
                    rest = after;
                }
                let guard = self.guard(rest, &place)?;
                match subject {
                    Subject::Nobody => {}
                    Subject::Symbol(name) => self.definition(name)?.depends.push(guard),
                    Subject::Scope(id) if keyword == "visible" => self.kconfig.scopes[id.0].visible.push(guard),
                    Subject::Scope(id) => self.kconfig.scopes[id.0].depends.push(guard),
                }
            }
            ("prompt", _) | (_, Some((_, false))) => {
                if let Some((kind, _)) = kind {
                    self.set_kind(subject, kind);
                }
                let Some((text, after)) = rest.split_first() else { return Ok(()) };
                rest = after;
                let text = text_of(text);
                let condition = self.condition(&mut rest)?;
                at_end(rest)?;
                match subject {
                    Subject::Nobody => {}
                    Subject::Symbol(name) => self.definition(name)?.prompt = Some(Prompt { text, condition, place }),
                    Subject::Scope(id) => {
                        let scope = &mut self.kconfig.scopes[id.0];
                        scope.title = text;
                        if let (ScopeKind::Choice(choice), Some(_)) = (&mut scope.kind, &condition) {
                            choice.prompt = Some(scope.depends.len());
                        }
                        scope.depends.extend(condition.map(|condition| Guard { condition, place }));
                    }
                }
            }
            ("default", _) | (_, Some((_, true))) => {
                if let Some((kind, _)) = kind {
                    self.set_kind(subject, kind);
                }
                let value = Expr::parse(&mut rest)?;
                let condition = self.condition(&mut rest)?;
                at_end(rest)?;
                let default = DefaultValue { value, condition, place };
                match subject {
                    Subject::Symbol(name) => self.definition(name)?.defaults.push(default),
                    Subject::Scope(id) => {
                        if let ScopeKind::Choice(choice) = &mut self.kconfig.scopes[id.0].kind {
                            choice.defaults.push(default);
                        }
                    }
                    Subject::Nobody => {}
                }
            }
            ("select" | "imply" | "enable", _) => {
                let (Some((Token::Word(symbol), mut rest)), Subject::Symbol(name)) = (rest.split_first(), subject)
                else {
                    return Err(format!("`{keyword}` needs a symbol, and belongs inside a config"));
                };
                let condition = self.condition(&mut rest)?;
                at_end(rest)?;
                let select = Select { symbol: symbol.clone(), condition, weak: keyword == "imply", place };
                self.definition(name)?.selects.push(select);
            }
            ("range", _) => {
                let [low, high, after @ ..] = rest else { return Err("`range` needs two values".to_owned()) };
                rest = after;
                let (low, high) = (atom_of(low)?, atom_of(high)?);
                let condition = self.condition(&mut rest)?;
                at_end(rest)?;
                if let Subject::Symbol(name) = subject {
                    self.definition(name)?.ranges.push(Range { low, high, condition, place });
                }
            }
            ("option", _) => {
                if let ([Token::Word(env), Token::Op(Op::Equal), Token::Text(variable)], Subject::Symbol(name)) =
                    (rest, subject)
                    && env == "env"
                    && let Some(value) = self.variables.get(variable).map(str::to_owned)
                {
                    self.kconfig.environment.insert(name.clone(), value.clone());
                    self.variables.set(name, &value);
                }
            }
            ("transitional", _) => {
                if let Subject::Symbol(name) = subject {
                    self.definition(name)?.transitional = true;
                }
            }
            ("optional", _) => {
                if let Subject::Scope(id) = subject
                    && let ScopeKind::Choice(choice) = &mut self.kconfig.scopes[id.0].kind
                {
                    choice.optional = true;
                }
            }
            ("modules", _) => {}
            _ => return Err(format!("unknown keyword `{keyword}`")),
        }
        Ok(())
    }

    fn set_kind(&mut self, subject: &Subject, kind: SymbolType) {
        match subject {
            Subject::Symbol(name) => {
                self.kconfig.symbols.entry(name.clone()).or_default().kind.get_or_insert(kind);
            }
            Subject::Scope(id) => {
                if let ScopeKind::Choice(choice) = &mut self.kconfig.scopes[id.0].kind {
                    choice.kind.get_or_insert(kind);
                }
            }
            Subject::Nobody => {}
        }
    }

    fn definition(&mut self, name: &str) -> Result<&mut Definition, String> {
        let symbol = self.kconfig.symbols.get_mut(name);
        symbol.and_then(|symbol| symbol.definitions.last_mut()).ok_or_else(|| format!("{name} has no config block"))
    }
}

/// The state of parsing a file.
struct File {
    scope: ScopeId,
    /// The scope that the file was included into, which it must not close.
    outermost: ScopeId,
    subject: Subject,
    path: Arc<str>,
}

enum Next {
    Line,
    Help,
}
