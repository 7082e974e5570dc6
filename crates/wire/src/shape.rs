//! Shapes as data: what the published models say of every type, for validation and for the encodings to walk over.

/// A type of a service model.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its name in the model.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Bounds of a number's value, or of the length of anything else.
    pub limits: Limits,
    /// A pattern that a string must match as a whole.
    pub pattern: Option<&'static str>,
}

/// What a shape holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Named members.
    Structure(&'static [Member]),
    /// Exactly one of the named members.
    Union(&'static [Member]),
    /// Items of one shape.
    List {
        /// The items.
        item: &'static Shape,
        /// The name of an item's element in XML.
        element: &'static str,
    },
    /// Values by key.
    Map {
        /// The keys: a string.
        key: &'static Shape,
        /// The values.
        value: &'static Shape,
    },
    /// Text.
    String,
    /// One of these texts.
    Enumeration(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// Any number.
    Double,
    /// Yes or no.
    Boolean,
    /// An instant.
    Timestamp,
    /// Bytes, in base64 where the encoding is text.
    Blob,
}

/// Bounds, both inclusive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The least.
    pub min: Option<f64>,
    /// The most.
    pub max: Option<f64>,
}

/// A member of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its key in a JSON object, and in the values that the other encodings go through.
    pub name: &'static str,
    /// Its shape.
    pub shape: &'static Shape,
    /// Whether it must be there.
    pub required: bool,
    /// Where it travels.
    pub place: Place,
    /// The name of its element in an XML response.
    pub element: &'static str,
    /// The name of its parameter in a query request.
    pub parameter: &'static str,
}

/// Where a member of a request or response travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the body.
    Body,
    /// As the label of this name in the path.
    Label(&'static str),
    /// As the parameter of this name in the query string.
    Query(&'static str),
    /// As the header of this name.
    Header(&'static str),
}

/// A generated type that knows its shape.
pub trait Shaped {
    /// The shape.
    const SHAPE: &'static Shape;
}

impl Shape {
    const fn of(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, limits: Limits { min: None, max: None }, pattern: None }
    }

    pub(crate) const fn structure(name: &'static str, members: &'static [Member]) -> Self {
        Self::of(name, Kind::Structure(members))
    }

    pub(crate) const fn union(name: &'static str, members: &'static [Member]) -> Self {
        Self::of(name, Kind::Union(members))
    }

    pub(crate) const fn list(name: &'static str, item: &'static Self, element: &'static str) -> Self {
        Self::of(name, Kind::List { item, element })
    }

    pub(crate) const fn map(name: &'static str, key: &'static Self, value: &'static Self) -> Self {
        Self::of(name, Kind::Map { key, value })
    }

    pub(crate) const fn string(name: &'static str) -> Self {
        Self::of(name, Kind::String)
    }

    pub(crate) const fn enumeration(name: &'static str, values: &'static [&'static str]) -> Self {
        Self::of(name, Kind::Enumeration(values))
    }

    pub(crate) const fn integer(name: &'static str) -> Self {
        Self::of(name, Kind::Integer)
    }

    pub(crate) const fn double(name: &'static str) -> Self {
        Self::of(name, Kind::Double)
    }

    pub(crate) const fn boolean(name: &'static str) -> Self {
        Self::of(name, Kind::Boolean)
    }

    pub(crate) const fn timestamp(name: &'static str) -> Self {
        Self::of(name, Kind::Timestamp)
    }

    pub(crate) const fn blob(name: &'static str) -> Self {
        Self::of(name, Kind::Blob)
    }

    pub(crate) const fn min(mut self, min: f64) -> Self {
        self.limits.min = Some(min);
        self
    }

    pub(crate) const fn max(mut self, max: f64) -> Self {
        self.limits.max = Some(max);
        self
    }

    pub(crate) const fn pattern(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// The members of a structure or union; none of anything else.
    #[must_use]
    pub const fn members(&self) -> &'static [Member] {
        match self.kind {
            Kind::Structure(members) | Kind::Union(members) => members,
            _ => &[],
        }
    }
}

impl Member {
    const fn new(name: &'static str, shape: &'static Shape, required: bool) -> Self {
        Self { name, shape, required, place: Place::Body, element: name, parameter: name }
    }

    pub(crate) const fn required(name: &'static str, shape: &'static Shape) -> Self {
        Self::new(name, shape, true)
    }

    pub(crate) const fn optional(name: &'static str, shape: &'static Shape) -> Self {
        Self::new(name, shape, false)
    }

    pub(crate) const fn label(mut self, name: &'static str) -> Self {
        self.place = Place::Label(name);
        self
    }

    pub(crate) const fn query(mut self, name: &'static str) -> Self {
        self.place = Place::Query(name);
        self
    }

    pub(crate) const fn header(mut self, name: &'static str) -> Self {
        self.place = Place::Header(name);
        self
    }

    pub(crate) const fn named(mut self, element: &'static str, parameter: &'static str) -> Self {
        self.element = element;
        self.parameter = parameter;
        self
    }
}
