//! The salt that patients are hashed with in reports.

use ictus::ingest::{Salt, SaltError};

/// Which salt it is.
#[derive(clap::Args)]
pub(crate) struct SaltArgs {
    /// Hexadecimal digits, 32 or more, that the patients' numbers are hashed with (`patient_hash`). Calls with the same salt give a
    /// patient the same hash; without it each call draws its own and forgets it. Keep it secret: who has it can try numbers.
    #[arg(long = "salt", value_name = "HEX")]
    given: Option<Salt>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSalt {
    #[error("drawing a salt for the patients' hashes: the system gives no random bytes ({0}); give one with --salt")]
    NoRandom(getrandom::Error),
    #[error(transparent)]
    Short(#[from] SaltError),
}

impl SaltArgs {
    /// The salt that was given, or a new one.
    pub(crate) fn salt(&self) -> Result<Salt, NoSalt> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        let mut bytes = [0; Salt::FEWEST];
        getrandom::fill(&mut bytes).map_err(NoSalt::NoRandom)?;
        Ok(Salt::new(&bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calls_draw_two_salts_unless_one_is_given() {
        let drawn = SaltArgs { given: None };
        assert!(drawn.salt().unwrap() != drawn.salt().unwrap());
        let given = SaltArgs { given: "00112233445566778899aabbccddeeff".parse().ok() };
        assert!(given.salt().unwrap() == given.salt().unwrap());
    }
}
