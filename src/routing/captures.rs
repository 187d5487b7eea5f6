//! What a matched path says about the request: the text of each variable.

use std::borrow::Cow;

use super::{
    path_template::PathTemplate,
    percent_encoding::{self, PercentError, Slashes},
};

/// The captured text of each variable of `template`, in its order, for a raw path it matches.
///
/// A variable of one segment is decoded fully; one of several by `slashes`, so that its slashes
/// stay those of the path where that is [`Slashes::Keep`].
pub(super) fn captures<'p>(
    template: &PathTemplate,
    slashes: Slashes,
    path: &'p str,
) -> impl Iterator<Item = Result<Cow<'p, str>, PercentError>> {
    let path = &path[usize::from(path.starts_with('/'))..];
    let path = match &template.verb {
        Some(_) => path.rfind(':').map_or(path, |colon| &path[..colon]),
        None => path,
    };
    let count = || match path {
        "" if template.segments.is_empty() => 0,
        path => 1 + path.bytes().filter(|&byte| byte == b'/').count(),
    };
    // Only where there is a `**` they are counted.
    let rest = template.rest().map(|rest| (rest, count()));
    // A template position, moved by what `**` took more (or less) than one segment.
    let locate = move |position: usize| match rest {
        Some((rest, count)) if position > rest => position + count - template.segments.len(),
        _ => position,
    };
    template.variables.iter().map(move |variable| {
        let text = segments(path, locate(variable.start), locate(variable.end));
        let slashes = if variable.is_multi_segment { slashes } else { Slashes::Decode };
        percent_encoding::decode(text, slashes)
    })
}

/// The segments `start..end` of a path without its leading slash, slashes between them included.
fn segments(path: &str, start: usize, end: usize) -> &str {
    if start >= end {
        return "";
    }
    let mut slashes = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
    let from = match start {
        0 => 0,
        start => slashes.nth(start - 1).map_or(path.len(), |at| at + 1),
    };
    let to = slashes.nth(end - start - 1).unwrap_or(path.len());
    &path[from..to]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(template: &str, path: &str) -> Vec<String> {
        let template = PathTemplate::parse(template).unwrap();
        captures(&template, Slashes::Keep, path).map(|text| text.unwrap().into_owned()).collect()
    }

    #[test]
    fn one_segment_is_decoded_and_several_keep_their_slashes() {
        assert_eq!(captured("/v1/{a}/x/{b}", "/v1/1%2F2/x/%C3%A9"), ["1/2", "é"]);
        assert_eq!(captured("/v1/{a=s/*}", "/v1/s/1%2F2%20"), ["s/1%2F2 "]);
    }

    #[test]
    fn rest_takes_what_the_others_leave() {
        assert_eq!(captured("/v1/{a=**}", "/v1"), [""]);
        assert_eq!(captured("/v1/{a=**}", "/v1/x/y/z"), ["x/y/z"]);
        assert_eq!(captured("/v1/{a=**}/{b}", "/v1/x/y/z"), ["x/y", "z"]);
        assert_eq!(captured("/v1/{a=**}/{b}", "/v1/z"), ["", "z"]);
        assert_eq!(captured("/{a=**}/m/{b}/{c}:go", "/1/2/m/3/4:5:go"), ["1/2", "3", "4:5"]);
    }
}
