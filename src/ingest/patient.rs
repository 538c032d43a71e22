//! Whose scan it is, as far as a report may say it: a salted hash, by which scans of one person can be told to belong together and
//! nothing else.

use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Random bytes that patients are hashed with. Hashes with different salts have nothing in common; who has the salt can try
/// numbers until one fits, so it is to be kept as secret as the numbers, or thrown away.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt(Vec<u8>);

/// Too few bytes, or no bytes at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading the salt of the patients' hashes: give an even number of hexadecimal digits, {} or more", 2 * Salt::FEWEST)]
pub struct SaltError;

impl Salt {
    /// Bytes of a salt that nobody can guess.
    pub const FEWEST: usize = 16;

    /// A salt of these bytes.
    ///
    /// # Errors
    /// [`SaltError`] if there are fewer than [`Self::FEWEST`].
    pub fn new(bytes: &[u8]) -> Result<Self, SaltError> {
        if bytes.len() < Self::FEWEST { Err(SaltError) } else { Ok(Self(bytes.to_vec())) }
    }
}

impl FromStr for Salt {
    type Err = SaltError;

    /// Reads hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, SaltError> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let bytes = pairs.iter().map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8));
        let bytes: Option<Vec<u8>> = bytes.collect();
        Self::new(&bytes.filter(|_| rest.is_empty()).ok_or(SaltError)?)
    }
}

/// Whose scan it is, by the patient's number, or by name and birth date where there is none. It is given out as a hash only.
#[derive(Clone, PartialEq, Eq)]
pub struct Patient(String);

impl fmt::Debug for Patient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Patient")
    }
}

impl Patient {
    /// `None` where a file says neither number nor name.
    pub(super) fn of(number: Option<&str>, name: Option<&str>, birth_date: Option<&str>) -> Option<Self> {
        if let Some(number) = number {
            return Some(Self(format!("number {number}")));
        }
        // The last components of a name may be written though they are empty (PS3.5 section 6.2.1).
        let name = name?.trim_end_matches(['^', ' ']);
        (!name.is_empty()).then(|| Self(format!("name {name}\n{}", birth_date.unwrap_or_default())))
    }

    /// SHA-256 of the salt and of what is known of the patient, in hexadecimal.
    pub fn hash(&self, salt: &Salt) -> String {
        let hash = Sha256::new().chain_update(&salt.0).chain_update(&self.0).finalize();
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
        hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_the_salt_and_the_number() {
        let salt: Salt = "000102030405060708090A0B0C0D0e0f".parse().unwrap();
        let patient = Patient::of(Some("4711"), Some("A^B"), None).unwrap();
        // From `(printf '\x00\x01..\x0f'; printf 'number 4711') | sha256sum`.
        assert_eq!(patient.hash(&salt), "dcba63640c5b56421a52e28d10d2a61ed9ec039eb7b43643eb3be719ac6261c9");
        assert_eq!(Patient::of(Some("4711"), None, Some("19500101")), Some(patient.clone()));
        assert_ne!(patient.hash(&Salt::new(&[7; 16]).unwrap()), patient.hash(&salt));
        assert_eq!(format!("{patient:?}"), "Patient");
    }

    #[test]
    fn without_a_number_name_and_birth_date_stand_for_it() {
        let of = |name, birth| Patient::of(None, name, birth);
        assert_eq!(of(Some("Rossi^Mario^^ "), Some("19500101")), of(Some("Rossi^Mario"), Some("19500101")));
        assert_ne!(of(Some("Rossi^Mario"), Some("19500101")), of(Some("Rossi^Mario"), Some("19510101")));
        assert_ne!(of(Some("4711"), None), Patient::of(Some("4711"), None, None));
        assert_eq!(of(Some("^^"), Some("19500101")), None);
        assert_eq!(of(None, Some("19500101")), None);
    }

    #[test]
    fn a_salt_that_could_be_guessed_is_none() {
        for text in ["", "00", "0011223344556677889900112233445", "zz112233445566778899001122334455"] {
            assert!(text.parse::<Salt>().is_err(), "{text}");
        }
        assert!(Salt::new(&[1; 15]).is_err());
    }
}
