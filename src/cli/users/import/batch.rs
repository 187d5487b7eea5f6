//! Lines into calls: a few rows at a time, however long the input is.

use std::{
    io::{self, BufRead, Read as _},
    sync::Arc,
};

use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::row;
use crate::users::v1::CreateUserRequest;

/// A longer line is malformed.
const LINE_LIMIT_BYTES: usize = 1 << 20;
/// What the messages of one call may take, unless its first takes more.
const BATCH_LIMIT_BYTES: usize = 1 << 20;
/// Rows of one call that have a password: the service takes long to hash one, by design, and is
/// not to be silent for long.
const PASSWORDS_LIMIT: usize = 250;
/// gRPC's frame around a message.
const ENVELOPE_BYTES: usize = 5;
/// Malformed lines that are told in detail.
const TOLD_LIMIT: usize = 10;

/// A place in the input, between two lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Position {
    pub(super) offset_bytes: u64,
    /// Lines before it.
    pub(super) lines: u64,
}

/// The rows of one call.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: Arc<[CreateUserRequest]>,
    /// Where its lines begin and end.
    pub(super) begin: Position,
    pub(super) end: Position,
    /// How many of them are malformed.
    pub(super) malformed: u64,
    /// What is wrong with the first of all.
    pub(super) faults: Vec<Fault>,
    /// The line at which reading ended, behind `end`, because none may be malformed.
    pub(super) strict_fault: Option<Fault>,
}

/// What is wrong with a line, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: u64,
    pub(super) what: String,
}

/// Reads batches from lines.
pub(super) struct BatchReader<R> {
    input: R,
    position: Position,
    rows_limit: usize,
    is_strict: bool,
    told: usize,
    is_over: bool,
    line: Vec<u8>,
    /// A row that had no room in the batch before, and where it ends.
    kept: Option<(CreateUserRequest, Position)>,
}

impl<R: BufRead> BatchReader<R> {
    /// Goes on at `position`, where `input` is.
    pub(super) fn new(input: R, position: Position, rows_limit: usize, is_strict: bool) -> Self {
        let line = Vec::new();
        let (told, is_over, kept) = (0, false, None);
        Self { input, position, rows_limit, is_strict, told, is_over, line, kept }
    }

    /// The next batch; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Batch>> {
        let begin = self.position;
        let mut batch = Batch {
            rows: Arc::default(),
            begin,
            end: begin,
            malformed: 0,
            faults: Vec::new(),
            strict_fault: None,
        };
        let (mut rows, mut size_bytes, mut passwords) = (Vec::new(), 0, 0);
        if let Some((row, end)) = self.kept.take() {
            size_bytes += size_of_row(&row);
            passwords += usize::from(!row.password.is_empty());
            rows.push(row);
            (self.position, batch.end) = (end, end);
        }
        while rows.len() < self.rows_limit && passwords < PASSWORDS_LIMIT && !self.is_over {
            let before = self.position;
            let Some(parsed) = self.read_row()? else {
                self.is_over = true;
                break;
            };
            match parsed {
                Ok(None) => {}
                Ok(Some(row))
                    if rows.is_empty() || size_bytes + size_of_row(&row) <= BATCH_LIMIT_BYTES =>
                {
                    size_bytes += size_of_row(&row);
                    passwords += usize::from(!row.password.is_empty());
                    rows.push(row);
                }
                Ok(Some(row)) => {
                    self.kept = Some((row, self.position));
                    self.position = before;
                    break;
                }
                Err(what) => {
                    let fault = Fault { line: self.position.lines, what };
                    if self.is_strict {
                        batch.strict_fault = Some(fault);
                        self.is_over = true;
                        break;
                    }
                    batch.malformed += 1;
                    if self.told < TOLD_LIMIT {
                        self.told += 1;
                        batch.faults.push(fault);
                    }
                }
            }
            batch.end = self.position;
        }
        batch.rows = rows.into();
        let is_nothing = batch.end == begin && batch.strict_fault.is_none();
        Ok((!is_nothing).then_some(batch))
    }

    /// What the next line is; a blank one is no row. None at the end.
    fn read_row(&mut self) -> io::Result<Option<Result<Option<CreateUserRequest>, String>>> {
        self.line.clear();
        let limit = LINE_LIMIT_BYTES as u64 + 1;
        let mut length = (&mut self.input).take(limit).read_until(b'\n', &mut self.line)? as u64;
        if length == 0 {
            return Ok(None);
        }
        let is_long = length == limit && self.line.last() != Some(&b'\n');
        if is_long {
            length += self.input.skip_until(b'\n')? as u64;
        }
        self.position.offset_bytes += length;
        self.position.lines += 1;
        Ok(Some(if is_long {
            Err("longer than 1 MiB".to_owned())
        } else if self.line.trim_ascii().is_empty() {
            Ok(None)
        } else {
            row::parse(&self.line).map(Some)
        }))
    }
}

fn size_of_row(row: &CreateUserRequest) -> usize {
    ENVELOPE_BYTES + row.encoded_len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(text: &str, rows_limit: usize, is_strict: bool) -> Vec<Batch> {
        let mut reader =
            BatchReader::new(text.as_bytes(), Position::default(), rows_limit, is_strict);
        std::iter::from_fn(|| reader.next().unwrap()).collect()
    }

    fn user(number: usize) -> String {
        format!("{{\"email\":\"{number}@b\"}}\n")
    }

    #[test]
    fn batches_end_at_lines_and_lose_none() {
        let text =
            [user(1), "\n".into(), user(2), user(3), user(4), user(5).trim().into()].concat();
        let batches = batches(&text, 2, false);
        let rows: Vec<_> = batches.iter().map(|batch| batch.rows.len()).collect();
        assert_eq!(rows, [2, 2, 1]);
        let lines: Vec<_> = batches.iter().map(|b| (b.begin.lines, b.end.lines)).collect();
        assert_eq!(lines, [(0, 3), (3, 5), (5, 6)]);
        assert_eq!(batches[2].end.offset_bytes, text.len() as u64);
        let end = batches[0].end.offset_bytes as usize;
        assert!(text[end..].starts_with(&user(3)));
        let mut rest = BatchReader::new(&text.as_bytes()[end..], batches[0].end, 9, false);
        let rest = rest.next().unwrap().unwrap();
        assert_eq!((rest.rows.len(), rest.end), (3, batches[2].end));
    }

    #[test]
    fn ten_malformed_lines_are_told_and_all_are_counted() {
        let text = [user(1), "nope\n".repeat(12), user(2)].concat();
        let [batch] = &batches(&text, 100, false)[..] else { panic!("not one batch") };
        assert_eq!((batch.rows.len(), batch.malformed, batch.faults.len()), (2, 12, 10));
        assert_eq!(batch.faults[0].line, 2);
    }

    #[test]
    fn the_first_malformed_line_is_the_end_if_none_may_be() {
        let text = [user(1), "nope\n".into(), user(2)].concat();
        let [batch] = &batches(&text, 100, true)[..] else { panic!("not one batch") };
        assert_eq!((batch.rows.len(), batch.end.lines, batch.malformed), (1, 1, 0));
        assert_eq!(batch.strict_fault.as_ref().unwrap().line, 2);
        let [batch] = &batches("nope\n", 100, true)[..] else { panic!("not one batch") };
        assert!(batch.rows.is_empty() && batch.strict_fault.is_some());
    }

    #[test]
    fn a_long_line_is_malformed_and_the_next_is_read() {
        let long = format!("{{\"email\":\"{}\"}}\n", "x".repeat(LINE_LIMIT_BYTES));
        let text = [user(1), long, user(2)].concat();
        let [batch] = &batches(&text, 100, false)[..] else { panic!("not one batch") };
        assert_eq!((batch.rows.len(), batch.malformed), (2, 1));
        assert_eq!(batch.end.offset_bytes, text.len() as u64);
        assert_eq!(batch.faults[0], Fault { line: 2, what: "longer than 1 MiB".into() });
    }

    #[test]
    fn a_call_has_few_passwords() {
        let with_password = "{\"email\":\"a@b\",\"password\":\"correct horse\"}\n";
        let text = user(1).repeat(300) + &with_password.repeat(300);
        let rows: Vec<_> = batches(&text, 1_000, false).iter().map(|b| b.rows.len()).collect();
        assert_eq!(rows, [300 + PASSWORDS_LIMIT, 50]);
    }

    #[test]
    fn a_call_has_a_mebibyte_at_most() {
        let row = format!("{{\"email\":\"a@b\",\"name\":\"{}\"}}\n", "x".repeat(300 << 10));
        let batches = batches(&row.repeat(7), 1_000, false);
        let rows: Vec<_> = batches.iter().map(|batch| batch.rows.len()).collect();
        assert_eq!(rows, [3, 3, 1]);
        for (batch, lines) in batches.iter().zip([(0, 3), (3, 6), (6, 7)]) {
            assert_eq!((batch.begin.lines, batch.end.lines), lines);
            assert_eq!(batch.end.offset_bytes, batch.end.lines * row.len() as u64);
        }
    }
}
