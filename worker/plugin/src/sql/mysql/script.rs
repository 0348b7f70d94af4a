//! Looks at a plugin's SQL before a server does: parts a script into statements, puts the block in front of a query, and
//! names what a plugin has no use for. Pure.
//!
//! It is the first of several guards and the one that can name a line; the server's own grammar, the account's rights and
//! the session's being read only hold without it.

use std::ops::Range;

/// Functions that read no data but wait, lock, burn time or open files.
const REFUSED_FUNCTIONS: [&str; 14] = [
    "BENCHMARK",
    "GET_LOCK",
    "IS_FREE_LOCK",
    "IS_USED_LOCK",
    "LOAD_FILE",
    "MASTER_GTID_WAIT",
    "MASTER_POS_WAIT",
    "RELEASE_ALL_LOCKS",
    "RELEASE_LOCK",
    "SETVAL",
    "SLEEP",
    "SOURCE_POS_WAIT",
    "WAIT_FOR_EXECUTED_GTID_SET",
    "WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS",
];

/// How a statement of `open.mysql.sql` may begin.
const PREPARING: [&[&str]; 11] = [
    &["CREATE", "TEMPORARY", "TABLE"],
    &["DROP", "TEMPORARY", "TABLE"],
    &["ALTER", "TABLE"],
    &["ANALYZE", "TABLE"],
    &["CREATE", "INDEX"],
    &["CREATE", "UNIQUE", "INDEX"],
    &["CREATE", "FULLTEXT", "INDEX"],
    &["INSERT"],
    &["REPLACE"],
    &["UPDATE"],
    &["DELETE"],
];

/// What is wrong with a text, and where, in bytes from its beginning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) problem: String,
}

/// The query in `text`: one statement that reads. Its parameters are its own.
pub(super) fn reading(text: &str) -> Result<&str, Wrong> {
    let Statement { range, words, .. } = query(text)?;
    match words.first().map_or("", |first| first.word.as_str()) {
        "SELECT" | "WITH" | "(" => Ok(&text[range]),
        first => Err(Wrong { at: range.start, problem: format!("not allowed: {first}; a query only reads") }),
    }
}

/// The query in `text` with `records`, a common table expression, in front of it. Its lines stay where they are.
pub(super) fn with_records(text: &str, records: &str) -> Result<String, Wrong> {
    let Statement { range, words, tokens } = query(text)?;
    if let Some(Token { at, .. }) = tokens.iter().find(|token| token.word == "?") {
        let problem = "the query has a parameter; the block is in the table records".to_owned();
        return Err(Wrong { at: *at, problem });
    }
    let query = &text[range.clone()];
    let (head, rest) = match words.as_slice() {
        [with, recursive, ..] if with.word == "WITH" && recursive.word == "RECURSIVE" => {
            ("WITH RECURSIVE ", after(query, recursive, range.start))
        }
        [with, ..] if with.word == "WITH" => ("WITH ", after(query, with, range.start)),
        _ => return Ok(format!("{}WITH {records} {query}", &text[..range.start])),
    };
    let skipped = &query[..query.len() - rest.len()];
    let lines = "\n".repeat(skipped.matches('\n').count());
    Ok(format!("{}{lines}{head}{records},{rest}", &text[..range.start]))
}

/// The one statement in `text`, without what no query needs.
fn query(text: &str) -> Result<Statement, Wrong> {
    let mut statements = statements(text)?;
    if statements.len() > 1 {
        let at = statements[1].range.start;
        return Err(Wrong { at, problem: "more than one statement: keep only the query".to_owned() });
    }
    let Some(statement) = statements.pop() else {
        return Err(Wrong { at: 0, problem: "there is no query: write one SELECT".to_owned() });
    };
    refuse_functions(&statement.tokens)?;
    let refused = |at, problem: &str| Err(Wrong { at, problem: problem.to_owned() });
    for (place, token) in statement.tokens.iter().enumerate() {
        let next = statement.tokens.get(place + 1).map_or("", |next| next.word.as_str());
        match (token.word.as_str(), next) {
            ("INTO", _) => return refused(token.at, "not allowed: INTO; a query only reads"),
            ("FOR", "UPDATE" | "SHARE") | ("LOCK", "IN") => {
                return refused(token.at, "not allowed: locking rows, which would hold replication up; drop it");
            }
            _ => {}
        }
    }
    Ok(statement)
}

fn after<'t>(query: &'t str, word: &Token, start: usize) -> &'t str {
    &query[word.at - start + word.word.len()..]
}

/// The statements of an `open.mysql.sql`, each with its place: they may make and fill temporary tables.
pub(super) fn preparing(text: &str) -> Result<Vec<Range<usize>>, Wrong> {
    let statements = statements(text)?;
    for Statement { range, tokens, .. } in &statements {
        let begins = |words: &&[&str]| {
            words.len() <= tokens.len() && words.iter().zip(tokens).all(|(word, token)| *word == token.word)
        };
        if !PREPARING.iter().any(begins) {
            let first: Vec<&str> = tokens.iter().take(2).map(|token| token.word.as_str()).collect();
            let problem = format!(
                "not allowed: {}; make, fill and index temporary tables only (CREATE TEMPORARY TABLE …)",
                first.join(" ")
            );
            return Err(Wrong { at: range.start, problem });
        }
        refuse_functions(tokens)?;
    }
    Ok(statements.into_iter().map(|statement| statement.range).collect())
}

fn refuse_functions(tokens: &[Token]) -> Result<(), Wrong> {
    for pair in tokens.windows(2) {
        if pair[1].word == "(" && REFUSED_FUNCTIONS.contains(&pair[0].word.as_str()) {
            let problem = format!("not allowed: {}(), which reads no data; drop it", pair[0].word);
            return Err(Wrong { at: pair[0].at, problem });
        }
    }
    Ok(())
}

/// A statement: its place without the semicolon, its first words, all its tokens.
struct Statement {
    range: Range<usize>,
    words: Vec<Token>,
    tokens: Vec<Token>,
}

/// A word in capitals, or a single sign; what stands in quotes or comments is none.
#[derive(Clone)]
struct Token {
    at: usize,
    word: String,
}

/// Parts a text at the semicolons that stand in no quotes and no comment; statements without a word are none.
fn statements(text: &str) -> Result<Vec<Statement>, Wrong> {
    let mut statements = Vec::new();
    let mut tokens: Vec<Token> = Vec::new();
    let mut end = |tokens: &mut Vec<Token>, at: usize| {
        if let Some(first) = tokens.first() {
            let words = tokens.iter().take(2).cloned().collect();
            statements.push(Statement { range: first.at..at, words, tokens: std::mem::take(tokens) });
        }
    };
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = match skipped(rest).map_err(|problem| Wrong { at, problem: problem.to_owned() })? {
            Skipped::Nothing => {
                let word: &str = &rest[..rest.find(|c| !is_of_word(c)).unwrap_or(rest.len())];
                let word = if word.is_empty() { &rest[..rest.chars().next().map_or(1, char::len_utf8)] } else { word };
                match word {
                    ";" => end(&mut tokens, at),
                    word => tokens.push(Token { at, word: word.to_ascii_uppercase() }),
                }
                word.len()
            }
            Skipped::Blank(length) => length,
            Skipped::Quoted(length) => {
                tokens.push(Token { at, word: rest[..1].to_owned() });
                length
            }
        };
        at += length;
    }
    end(&mut tokens, text.trim_end().len());
    Ok(statements)
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// What a text begins with that holds no words, and how many bytes that is.
enum Skipped {
    Nothing,
    Blank(usize),
    Quoted(usize),
}

fn skipped(rest: &str) -> Result<Skipped, &'static str> {
    let line = || Skipped::Blank(rest.find('\n').map_or(rest.len(), |end| end + 1));
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        c if c.is_whitespace() => Ok(Skipped::Blank(c.len_utf8())),
        '#' => Ok(line()),
        // Two hyphens begin a comment only before a blank: `1--1` is a sum.
        '-' if rest.starts_with("--") && rest[2..].chars().next().is_none_or(char::is_whitespace) => Ok(line()),
        '/' if rest.starts_with("/*!") || rest.starts_with("/*M!") => {
            Err("not allowed: a comment that servers of one make run; write it plainly")
        }
        '/' if rest.starts_with("/*") => match rest[2..].find("*/") {
            Some(end) => Ok(Skipped::Blank(end + 4)),
            None => Err("the comment that opens here is never closed"),
        },
        '\'' | '"' | '`' => {
            let mut chars = rest.char_indices().skip(1);
            while let Some((place, c)) = chars.next() {
                match c {
                    '\\' if first != '`' => drop(chars.next()),
                    // A doubled quote is the next quoted text, with nothing between: as good.
                    c if c == first => return Ok(Skipped::Quoted(place + 1)),
                    _ => {}
                }
            }
            Err("the quote that opens here is never closed")
        }
        _ => Ok(Skipped::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(query: &str) -> Result<String, String> {
        with_records(query, "records AS (…)").map_err(|wrong| wrong.problem)
    }

    #[test]
    fn the_block_stands_before_the_query_however_that_begins_and_lines_stay_where_they_are() {
        for (query, expected) in [
            ("SELECT 1", "WITH records AS (…) SELECT 1"),
            ("-- WITH x\n/* y */ # z\n select 1 ;\n-- end\n", "-- WITH x\n/* y */ # z\n WITH records AS (…) select 1 "),
            ("with a AS (SELECT 1) SELECT 1", "WITH records AS (…), a AS (SELECT 1) SELECT 1"),
            (
                "WITH\n/* c */ recursive\n a AS (SELECT 1) SELECT 1",
                "\nWITH RECURSIVE records AS (…),\n a AS (SELECT 1) SELECT 1",
            ),
            ("WITH recursives AS (SELECT 1) SELECT 1", "WITH records AS (…), recursives AS (SELECT 1) SELECT 1"),
            ("(SELECT 1) UNION (SELECT 2)", "WITH records AS (…) (SELECT 1) UNION (SELECT 2)"),
        ] {
            assert_eq!(spliced(query), Ok(expected.to_owned()), "{query}");
        }
    }

    #[test]
    fn words_in_quotes_and_comments_are_no_words() {
        for query in [
            "SELECT 'a;b\\';c' \"x;\"\";\" `into;` -- ; INTO\n, 1--1, 'SLEEP(1)', /* ; ? */ `get_lock` FROM t",
            "SELECT sleep FROM t",
            "SELECT 'it''s; ''?'",
        ] {
            assert!(spliced(query).is_ok(), "{query}: {:?}", spliced(query));
        }
    }

    #[test]
    fn what_no_query_needs_is_refused_where_it_stands() {
        for (query, says) in [
            ("", "there is no query"),
            (";;\n", "there is no query"),
            ("SELECT 1; SELECT 2", "more than one statement"),
            ("SELECT ?", "has a parameter"),
            ("SELECT 1 INTO OUTFILE 'x'", "INTO"),
            ("SELECT a FROM t FOR\nUPDATE", "locking rows"),
            ("SELECT a FROM t LOCK IN SHARE MODE", "locking rows"),
            ("SELECT sleep (9)", "SLEEP()"),
            ("SELECT /*!50000 1 */", "servers of one make"),
            ("/*M! SELECT 1 */", "servers of one make"),
            ("SELECT 'a", "never closed"),
            ("SELECT 1 /* a", "never closed"),
        ] {
            let problem = spliced(query).expect_err(query);
            assert!(problem.contains(says), "{query}: {problem}");
        }
        let wrong = with_records("SELECT\n  load_file('x')", "r").expect_err("opens files");
        assert_eq!(wrong.at, 9);
    }

    #[test]
    fn a_query_of_a_plugins_own_code_is_one_that_reads_with_parameters_of_its_own() {
        assert_eq!(reading(" SELECT a FROM t WHERE b = ?; -- end"), Ok("SELECT a FROM t WHERE b = ?"));
        assert!(reading("(SELECT 1) UNION (SELECT 2)").is_ok() && reading("/* c */ with a AS (…) SELECT 1").is_ok());
        for (query, says) in [
            ("DELETE FROM t", "not allowed: DELETE; a query only reads"),
            ("SET SESSION TRANSACTION READ WRITE", "not allowed: SET"),
            ("SET STATEMENT max_statement_time = 0 FOR SELECT 1", "not allowed: SET"),
            ("KILL 1", "not allowed: KILL"),
            ("CALL p()", "not allowed: CALL"),
            ("SELECT sleep(1)", "SLEEP()"),
            ("SELECT 1; SELECT 2", "more than one statement"),
        ] {
            let problem = reading(query).expect_err(query).problem;
            assert!(problem.contains(says), "{query}: {problem}");
        }
    }

    #[test]
    fn a_script_is_parted_into_statements_that_prepare() {
        let text = "-- first\nCREATE TEMPORARY TABLE s.t (a INT);\n\ninsert into s.t VALUES (';');\nALTER TABLE s.t ADD KEY (a)";
        let parts: Vec<&str> = preparing(text).expect("fine").into_iter().map(|range| &text[range]).collect();
        assert_eq!(
            parts,
            ["CREATE TEMPORARY TABLE s.t (a INT)", "insert into s.t VALUES (';')", "ALTER TABLE s.t ADD KEY (a)"]
        );
        assert!(preparing("-- nothing yet").expect("fine").is_empty());
    }

    #[test]
    fn a_script_that_does_more_than_prepare_is_refused() {
        for script in [
            "CREATE TABLE t (a INT)",
            "SET GLOBAL max_connections = 1",
            "SET SESSION TRANSACTION READ WRITE",
            "KILL 1",
            "CALL p()",
            "LOAD DATA LOCAL INFILE 'x' INTO TABLE t",
            "PREPARE s FROM 'SELECT 1'",
            "DROP TABLE t",
            "CREATE TEMPORARY TABLE s.t (a INT); COMMIT",
            "INSERT INTO s.t SELECT GET_LOCK('a', 1)",
        ] {
            let problem = preparing(script).expect_err(script).problem;
            assert!(problem.starts_with("not allowed: "), "{script}: {problem}");
        }
    }
}
