//! A file holds at most 500 lines of code, a function 80 lines.

use super::{Finding, source::Source};

const FILE: usize = 500;
const FUNCTION: usize = 80;

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(|source| file(source).into_iter().chain(functions(source))).collect()
}

fn file(source: &Source) -> Option<Finding> {
    let code = source.code().filter(|(_, line)| is_code(line)).count();
    (code > FILE).then(|| Finding::new(&*source.path, format!("{code} lines of code, over {FILE}")))
}

fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with("//")
}

/// The formatter ends a function with a brace at the indentation at which it
/// began.
fn functions(source: &Source) -> Vec<Finding> {
    let mut open: Option<(usize, usize, &str)> = None;
    let mut findings = Vec::new();
    for (number, line) in source.code() {
        let indent = line.len() - line.trim_start().len();
        match open {
            None if begins_function(line) => open = Some((number, indent, line.trim())),
            Some((from, at, name)) if indent == at && line.trim_start().starts_with('}') => {
                let length = number - from + 1;
                if length > FUNCTION {
                    let rule = format!("{length} lines, over {FUNCTION}: {name}");
                    findings.push(Finding::new(format!("{}:{from}", source.path), rule));
                }
                open = None;
            }
            // A declaration without a body.
            Some((_, at, _)) if indent == at && line.trim_end().ends_with(';') => open = None,
            _ => {}
        }
    }
    findings
}

fn begins_function(line: &str) -> bool {
    let line = line.trim_start();
    let words = line.split_whitespace().take_while(|word| {
        ["pub", "pub(crate)", "pub(super)", "async", "const", "fn"].contains(word)
    });
    words.last() == Some("fn") && !line.ends_with('}') && !line.ends_with(';')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: String) -> [Source; 1] {
        [Source { path: "crates/x/src/y.rs".into(), text }]
    }

    #[test]
    fn finds_a_long_file_and_a_long_function() {
        let lines = "    let x = 1;\n".repeat(79);
        let found = check(&source(format!("pub(crate) async fn long() {{\n{lines}}}\n")));
        assert_eq!(found.len(), 1);
        assert!(check(&source(format!("fn fits() {{\n{}}}\n", &lines[15..]))).is_empty());
        assert_eq!(check(&source("static X: u8 = 1;\n".repeat(501))).len(), 1);
        assert!(check(&source("// a note\n".repeat(9999))).is_empty());
    }

    #[test]
    fn a_declaration_is_no_function() {
        let text =
            format!("trait T {{\n    fn a(\n        x: u8,\n    );\n{}}}\n", "\n".repeat(90));
        assert!(check(&source(text)).is_empty());
    }
}
