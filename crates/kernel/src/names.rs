//! Enumerations whose variants have one text form, used in JSON, in the
//! database, in URLs and on screen. `names!` makes the enum, its list, its
//! parsing and its serde form from one table.

/// An enumeration with one text form per variant.
pub trait Name: Copy + Eq + Sized + 'static {
    /// Every variant, in declaration order.
    const ALL: &'static [Self];
    /// The text form.
    fn name(self) -> &'static str;
    /// The variant with this text form.
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|v| v.name() == text)
    }
}

/// Declares a [`Name`] enumeration.
///
/// ```
/// kernel::names! {
///     /// A light.
///     pub enum Light { Red = "red", Green = "green" }
/// }
/// use kernel::names::Name;
/// assert_eq!(Light::parse("green"), Some(Light::Green));
/// ```
#[macro_export]
macro_rules! names {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$vmeta])* $variant),+ }

        impl $crate::names::Name for $name {
            const ALL: &'static [Self] = &[$($name::$variant),+];
            fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad($crate::names::Name::name(*self))
            }
        }
        impl ::std::str::FromStr for $name {
            type Err = $crate::Refusal;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <$name as $crate::names::Name>::parse(text)
                    .ok_or_else(|| $crate::names::unknown::<$name>(text, stringify!($name)))
            }
        }
        impl $crate::names::Serialize for $name {
            fn serialize<S: $crate::names::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str($crate::names::Name::name(*self))
            }
        }
        impl<'de> $crate::names::Deserialize<'de> for $name {
            fn deserialize<D: $crate::names::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as $crate::names::Deserialize>::deserialize(d)?;
                text.parse().map_err(|e: $crate::Refusal| $crate::names::DeError::custom(e.message))
            }
        }
    };
}

pub use serde::de::Error as DeError;
pub use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The refusal for a text that names no variant; used by [`names!`].
#[must_use]
pub fn unknown<N: Name>(text: &str, type_name: &str) -> crate::Refusal {
    let known: Vec<_> = N::ALL.iter().map(|v| v.name()).collect();
    let noun = words(type_name);
    crate::Refusal::invalid(format!("unknown {noun} `{text}`"))
        .hint(format!("use one of: {}", known.join(", ")))
}

/// The name of a type as words: `OutcomeStatus`, `outcome status`.
pub(crate) fn words(type_name: &str) -> String {
    let mut words = String::new();
    for letter in type_name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
