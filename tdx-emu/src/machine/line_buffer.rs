// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes from a guest's serial port, collected into lines that are fit for a transcript.

/// Longer lines are cut in two.
const CAPACITY: usize = 512;

/// A line in the making.
#[derive(Debug)]
pub(crate) struct LineBuffer {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl LineBuffer {
    /// Makes an empty line.
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; CAPACITY], length: 0 }
    }

    /// Takes one byte; hands a line without its end to `emit` when `byte` completes one.
    ///
    /// Guests are not trusted to print text: carriage returns vanish, and what is neither printable
    /// ASCII nor a blank becomes a question mark, so that no line can forge another one's prefix.
    pub(crate) fn put(&mut self, byte: u8, emit: impl FnOnce(&str)) {
        match byte {
            b'\r' => return,
            b'\n' => {}
            _ => {
                self.bytes[self.length] = match byte {
                    b' '..=b'~' => byte,
                    b'\t' => b' ',
                    _ => b'?',
                };
                self.length += 1;
                if self.length < CAPACITY {
                    return;
                }
            }
        }
        let line = &self.bytes[..self.length];
        self.length = 0;
        emit(str::from_utf8(line).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::LineBuffer;

    fn lines(input: &[u8]) -> Vec<String> {
        let (mut buffer, mut lines) = (LineBuffer::new(), Vec::new());
        for &byte in input {
            buffer.put(byte, |line| lines.push(line.to_owned()));
        }
        lines
    }

    #[test]
    fn a_line_appears_when_it_is_complete() {
        assert_eq!(lines(b"one\r\n\ntwo\nthr"), ["one", "", "two"]);
    }

    #[test]
    fn what_is_not_text_becomes_a_question_mark() {
        assert_eq!(lines(b"a\x1b[1m\tb\xff\n"), ["a?[1m b?"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let cut = lines(&[b'x'; 1200]);
        assert_eq!(cut.iter().map(String::len).collect::<Vec<_>>(), [512, 512]);
    }
}
