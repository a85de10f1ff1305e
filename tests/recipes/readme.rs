//! Commands out of README.md: a recipe is the code block behind `<!-- recipe: NAME -->`, in the section "Recipes".

const README: &str = include_str!("../../README.md");
const MARK: &str = "<!-- recipe: ";

fn section() -> &'static str {
    let (_, behind) = README.split_once("\n## Recipes\n").expect("README.md has a section \"Recipes\"");
    behind.split("\n## ").next().unwrap_or(behind)
}

/// The names of all recipes.
pub fn names() -> Vec<String> {
    let marks = section().split(MARK).skip(1);
    marks.map(|rest| rest.split(" -->").next().unwrap_or(rest).to_owned()).collect()
}

/// The first lines of code blocks that nothing would try.
pub fn blocks_without_a_name() -> Vec<String> {
    let lines: Vec<&str> = section().lines().collect();
    let mut inside = false;
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("```")) {
        inside = !inside;
        if inside && !at.checked_sub(1).is_some_and(|before| lines[before].starts_with(MARK)) {
            found.push(format!("{line} {}", lines.get(at + 1).unwrap_or(&"")));
        }
    }
    found
}

/// The code of a recipe.
pub fn code(name: &str) -> String {
    let (_, behind) = section().split_once(&format!("{MARK}{name} -->\n```")).expect("the recipe is in README.md");
    let (_, behind) = behind.split_once('\n').expect("a code block has lines");
    let (code, _) = behind.split_once("\n```").expect("a code block ends");
    format!("{code}\n")
}
