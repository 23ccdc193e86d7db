//! A POP3 client that waits for each answer, as mail programs do, and believes none.

use std::time::Instant;

use crate::Outcome;
use crate::clients::{Messages, Pace};
use crate::mail::Expected;
use crate::wire::{Wire, number, shown};

/// A logged-in session.
pub(crate) struct Pop3(Wire);

impl Pop3 {
    pub(crate) fn login(port: u16, user: &str, password: &str) -> Outcome<Self> {
        let mut session = Self(Wire::open(port)?);
        session.positive("the greeting")?;
        session.ask(&format!("USER {user}"))?;
        session.send(&format!("PASS {password}"))?;
        session.positive("PASS")?;
        Ok(session)
    }

    fn send(&mut self, command: &str) -> Outcome<()> {
        self.0.send(format!("{command}\r\n").as_bytes())
    }

    fn positive(&mut self, command: &str) -> Outcome<Vec<u8>> {
        let line = self.0.line()?;
        if line.starts_with(b"+OK") {
            Ok(line.to_owned())
        } else {
            Err(format!("{command} was answered with \"{}\"", shown(line)).into())
        }
    }

    fn ask(&mut self, command: &str) -> Outcome<Vec<u8>> {
        self.send(command)?;
        self.positive(command)
    }

    /// UIDL or LIST: each message once and in order. The sum of what stands in the lines.
    fn listing(&mut self, command: &str, messages: &Messages, sizes: bool) -> Outcome<usize> {
        self.ask(command)?;
        let (mut count, mut sum) = (0, 0);
        loop {
            let line = self.0.line()?;
            if line == b"." {
                break;
            }
            count += 1;
            let space = line.iter().position(|octet| *octet == b' ').unwrap_or(0);
            if number(&line[..space]) != Some(count) || line.len() < space + 2 {
                return Err(format!("line {count} of {command} is \"{}\"", shown(line)).into());
            }
            if sizes {
                sum += number(&line[space..]).ok_or("LIST has a line without a size")?;
            }
        }
        if count != messages.count {
            return Err(format!("{command} lists {count} messages, not {}", messages.count).into());
        }
        Ok(sum)
    }

    /// What a mail program asks at each poll.
    pub(crate) fn poll(&mut self, messages: &Messages) -> Outcome<()> {
        let stat = self.ask("STAT")?;
        let sum = messages.count * messages.octets;
        let expected = format!("+OK {} {sum}", messages.count);
        if !stat.starts_with(expected.as_bytes()) {
            return Err(format!("STAT says \"{}\", not \"{expected}\"", shown(&stat)).into());
        }
        self.listing("UIDL", messages, false)?;
        let listed = self.listing("LIST", messages, true)?;
        if listed == sum { Ok(()) } else { Err(format!("the sizes in LIST are {listed}, not {sum}").into()) }
    }

    /// Reads the answer to RETR, and says when the first octet of the body was there.
    fn message(&mut self, number: usize, octets: usize, pace: &mut Pace) -> Outcome<Instant> {
        self.positive("RETR")?;
        let mut expected = Expected::new(number);
        let mut left = octets;
        let mut first = None;
        while left > 0 {
            let count = {
                let chunk = self.0.octets(left)?;
                first.get_or_insert_with(Instant::now);
                if !expected.take(chunk) {
                    return Err(
                        format!("message {number} is another one before octet {}", octets - left).into()
                    );
                }
                chunk.len()
            };
            left -= count;
            pace.wait(count);
        }
        let end = self.0.line()?;
        if end != b"." {
            return Err(format!("message {number} does not end where it should: \"{}\"", shown(end)).into());
        }
        Ok(first.unwrap_or_else(Instant::now))
    }

    /// Retrieves all messages, as many at once as are in a group; the octets.
    pub(crate) fn drain(&mut self, messages: &Messages, group: usize, pace: &mut Pace) -> Outcome<usize> {
        for first in (1..=messages.count).step_by(group) {
            let numbers = first..(first + group).min(messages.count + 1);
            let commands: Vec<String> = numbers.clone().map(|number| format!("RETR {number}\r\n")).collect();
            self.0.send(commands.concat().as_bytes())?;
            for number in numbers {
                self.message(number, messages.octets, pace)?;
            }
        }
        Ok(messages.count * messages.octets)
    }

    /// From sending RETR to the first octet of the message; then reads the rest.
    pub(crate) fn first_octet(&mut self, number: usize, octets: usize) -> Outcome<f64> {
        let sent = Instant::now();
        self.send(&format!("RETR {number}"))?;
        let first = self.message(number, octets, &mut Pace::free())?;
        Ok((first - sent).as_secs_f64())
    }

    pub(crate) fn quit(mut self) -> Outcome<()> {
        self.ask("QUIT")?;
        self.0.expect_end()
    }
}
