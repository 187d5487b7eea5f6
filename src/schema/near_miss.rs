//! What somebody may have meant: the known name that is nearest to one that is not known.

/// The one of `known` that takes the fewest edits to become, if they are few.
pub(super) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let limit = (name.chars().count() / 5).max(2);
    known
        .map(|known| (edits(name, known), known))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, known)| known)
}

/// Characters to insert, remove or replace, at the least.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_edits_are_a_near_miss_and_many_are_not() {
        let known = ["user.v1.UserService.GetUser", "user.v1.UserService.ListUsers"];
        let nearest = |name| nearest(name, known.into_iter());
        assert_eq!(nearest("user.v1.UserService.GetUsers"), Some(known[0]));
        assert_eq!(nearest("user.v1.UserService/ListUsers"), Some(known[1]));
        assert_eq!(nearest("UserService.GetUser"), None);
        assert_eq!(nearest(""), None);
        assert_eq!((edits("", "abc"), edits("kitten", "sitting"), edits("a", "a")), (3, 3, 0));
    }
}
