//! False colours: how one value becomes a colour.

use std::fmt;
use std::str::FromStr;

/// Colours for values from low to high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Palette {
    /// Black to white.
    #[default]
    Grey,
    /// Blue over green to red: the most steps that an eye tells apart.
    Turbo,
    /// Dark violet to yellow; as bright as the value is high, also for the colour-blind.
    Viridis,
    /// Black over red to light yellow.
    Inferno,
}

impl Palette {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Grey, Self::Turbo, Self::Viridis, Self::Inferno];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Turbo => "turbo",
            Self::Viridis => "viridis",
            Self::Inferno => "inferno",
        }
    }

    /// The colours of 256 values from low to high: red, green, blue.
    pub fn colours(self) -> [[u8; 3]; 256] {
        let gradient = match self {
            Self::Grey => return std::array::from_fn(|value| [value as u8; 3]),
            Self::Turbo => colorous::TURBO,
            Self::Viridis => colorous::VIRIDIS,
            Self::Inferno => colorous::INFERNO,
        };
        std::array::from_fn(|value| gradient.eval_rational(value, 256).into_array())
    }
}

impl fmt::Display for Palette {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Palette {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|palette| palette.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|palette| palette.name()).collect();
            format!("{text:?} is no palette: expected one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palettes_are_read_as_they_are_written() {
        for palette in Palette::ALL {
            assert_eq!(palette.to_string().parse(), Ok(palette));
        }
        let error = "jet".parse::<Palette>().unwrap_err();
        assert_eq!(error, "\"jet\" is no palette: expected one of grey, turbo, viridis, inferno");
    }

    #[test]
    fn grey_is_the_value_and_the_others_have_colours() {
        assert_eq!(Palette::Grey.colours()[77], [77; 3]);
        let turbo = Palette::Turbo.colours();
        assert!(turbo[40][2] > turbo[40][0] && turbo[215][0] > turbo[215][2], "blue is low, red is high");
        let brightness = |[r, g, b]: [u8; 3]| 3 * u32::from(r) + 6 * u32::from(g) + u32::from(b);
        for palette in [Palette::Viridis, Palette::Inferno] {
            let colours = palette.colours();
            assert!(brightness(colours[250]) > 2 * brightness(colours[5]), "{palette}");
        }
    }
}
