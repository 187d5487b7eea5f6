//! JSON as a tree that keeps what serde_json's does not: how a number is spelled, the order of
//! keys, and a key that is there twice.

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// As it is spelled.
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value that the whole of `text` is, where it is one by RFC 8259.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value()?;
        parser.space();
        (parser.at == text.len()).then_some(value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        let Json::Object(members) = self else { return None };
        members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        let Json::Object(members) = self else { return None };
        members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Json::String(text) = self { Some(text) } else { None }
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(text) => f.write_str(text),
            Json::String(text) => f.write_str(&quoted(text)),
            Json::Array(values) => {
                let values: Vec<_> = values.iter().map(Json::to_string).collect();
                write!(f, "[{}]", values.join(","))
            }
            Json::Object(members) => {
                let member = |(key, value): &(String, Json)| format!("{}:{value}", quoted(key));
                write!(f, "{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Where two values differ, the order of keys aside; numbers are compared as what they are.
/// `slack` is how many steps of a double apart two numbers may be.
pub(crate) fn difference(left: &Json, right: &Json, slack: u64) -> Option<String> {
    match (left, right) {
        (Json::Object(left), Json::Object(right)) => {
            for members in [left, right] {
                let mut keys: Vec<_> = members.iter().map(|(key, _)| key).collect();
                keys.sort_unstable();
                if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Some(format!(".{:?} is there twice", pair[0]));
                }
            }
            let other = |of: &[(String, Json)], key: &str| {
                of.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
            };
            let missing = |(key, value): &(String, Json)| format!(".{key:?} is missing: {value}");
            let mut added = right.iter().filter(|(key, _)| other(left, key).is_none());
            let mut differences = left.iter().filter_map(|member| {
                let Some(right) = other(right, &member.0) else { return Some(missing(member)) };
                let inner = difference(&member.1, &right, slack)?;
                Some(format!(".{:?}{inner}", member.0))
            });
            differences.next().or_else(|| added.next().map(missing))
        }
        (Json::Array(left), Json::Array(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(right).enumerate();
            pairs.find_map(|(at, (left, right))| {
                difference(left, right, slack).map(|inner| format!("[{at}]{inner}"))
            })
        }
        (Json::Number(left), Json::Number(right)) if are_near(left, right, slack) => None,
        _ if left == right => None,
        _ => Some(format!(": {left} and {right}")),
    }
}

fn are_near(left: &str, right: &str, slack: u64) -> bool {
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return left == right;
    }
    let bits = |text: &str| text.parse::<f64>().map(f64::to_bits);
    match (bits(left), bits(right)) {
        (Ok(left), Ok(right)) => left.abs_diff(right) <= slack,
        _ => false,
    }
}

/// Whether `text` is indented by two spaces, or (where not `pretty`) has no space at all.
pub(crate) fn is_laid_out(text: &str, pretty: bool) -> bool {
    let (mut depth, mut in_string, mut escaped, mut spaces) = (0_usize, false, false, None);
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '\n' if pretty => spaces = Some(0),
            ' ' if pretty => spaces = spaces.map(|spaces| spaces + 1),
            c if c.is_whitespace() => return false,
            _ => {
                depth = depth.saturating_sub(usize::from(matches!(c, '}' | ']')));
                if spaces.take().is_some_and(|spaces| spaces != 2 * depth) {
                    return false;
                }
                depth += usize::from(matches!(c, '{' | '['));
                in_string = c == '"';
            }
        }
    }
    true
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| b" \t\r\n".contains(byte)) {
            self.at += 1;
        }
    }

    fn take(&mut self, expected: &str) -> Option<()> {
        let found = self.text[self.at..].starts_with(expected.as_bytes());
        found.then(|| self.at += expected.len())
    }

    fn value(&mut self) -> Option<Json> {
        self.space();
        match self.text.get(self.at)? {
            b'n' => self.take("null").map(|()| Json::Null),
            b't' => self.take("true").map(|()| Json::Bool(true)),
            b'f' => self.take("false").map(|()| Json::Bool(false)),
            b'"' => self.string().map(Json::String),
            b'[' => self.list(b']', Self::value).map(Json::Array),
            b'{' => self.list(b'}', Self::member).map(Json::Object),
            _ => self.number().map(Json::Number),
        }
    }

    fn list<T>(&mut self, end: u8, item: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.text.get(self.at) == Some(&end) {
            self.at += 1;
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            self.space();
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b',' => {}
                byte if byte == end => return Some(items),
                _ => return None,
            }
        }
    }

    fn member(&mut self) -> Option<(String, Json)> {
        self.space();
        let key = self.string()?;
        self.space();
        self.take(":")?;
        Some((key, self.value()?))
    }

    /// Escapes are serde_json's to read.
    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.take("\"")?;
        loop {
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        serde_json::from_slice(&self.text[start..self.at]).ok()
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(|byte| b"+-.eE0123456789".contains(byte)) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).ok()?;
        is_number(text).then(|| text.to_owned())
    }
}

/// Whether `text` is a number by the grammar of JSON.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (text, exponent) = match text.split_once(['e', 'E']) {
        Some((text, exponent)) => (text, exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
        None => (text, "0"),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    digits(whole) && !leading_zero && digits(fraction) && digits(exponent)
}
