//! Bodies without the payload that they repeat. Many a state is what its first
//! entry says, and a little around it: a verdict, an evidence, a signal. Both
//! are canonical JSON, so that the payload stands in the body byte for byte,
//! and the row of the entry has it already.

/// Shorter payloads are not worth the reading of another row.
const PAYLOAD_BYTES_MIN: usize = 256;

/// The body without the payload, and the byte at which it belongs; `None` when
/// the body does not contain it, or it is short.
pub(super) fn cut(body: &str, payload: &str) -> Option<(String, u32)> {
    if payload.len() < PAYLOAD_BYTES_MIN {
        return None;
    }
    let (before, after) = body.split_once(payload)?;
    let at = u32::try_from(before.len()).ok()?;
    Some((format!("{before}{after}"), at))
}

/// The body that was cut; `None` when there is no such byte.
pub(super) fn join(rest: &str, at: u32, payload: &str) -> Option<String> {
    let (before, after) = rest.split_at_checked(usize::try_from(at).ok()?)?;
    Some([before, payload, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_joined_again() {
        let payload = format!("{{\"a\":\"{}\"}}", "é".repeat(200));
        for (before, after) in [("", ""), ("{\"ü\":", "}"), ("[", ",1]"), ("", "ö")] {
            let body = format!("{before}{payload}{after}");
            let (rest, at) = cut(&body, &payload).unwrap();
            assert_eq!(rest, format!("{before}{after}"));
            assert_eq!(join(&rest, at, &payload).unwrap(), body);
        }
    }

    #[test]
    fn the_first_of_two_is_cut() {
        let payload = "x".repeat(PAYLOAD_BYTES_MIN);
        let body = format!("[{payload},{payload}]");
        let (rest, at) = cut(&body, &payload).unwrap();
        assert_eq!((rest.len(), at), (payload.len() + 3, 1));
        assert_eq!(join(&rest, at, &payload).unwrap(), body);
    }

    #[test]
    fn what_is_short_or_not_repeated_stays() {
        let long = "x".repeat(PAYLOAD_BYTES_MIN);
        let short = "x".repeat(PAYLOAD_BYTES_MIN - 1);
        assert_eq!(cut(&long, &short), None);
        assert!(cut(&long, &long).is_some());
        assert_eq!(cut("{}", &long), None);
    }

    #[test]
    fn a_place_that_is_not_there_is_no_panic() {
        assert_eq!(join("é", 1, "x"), None);
        assert_eq!(join("é", 3, "x"), None);
    }
}
