//! What the generated code is written in, so that it stays a list of facts.

/// An enumeration that keeps values which the model does not list yet: services add values without notice.
macro_rules! open_enum {
    (pub enum $name:ident { $($variant:ident = $value:literal,)+ }) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($variant,)+
            /// A value that the model does not list, verbatim.
            Unlisted(String),
        }

        impl $name {
            /// The value on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $value,)+
                    Self::Unlisted(value) => value,
                }
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                match value {
                    $($value => Self::$variant,)+
                    other => Self::Unlisted(other.to_owned()),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(deserializer).map(|value| Self::from(&*value))
            }
        }
    };
}

/// The operations of a service: an enum of them, with their bindings and shapes, and for each typed input its output.
macro_rules! service {
    (
        signing_name: $signing:literal, endpoint: $endpoint:literal, version: $version:literal, protocol: $protocol:expr,
        operations: { $($name:ident($input:ident => $output:ident) = $method:literal $uri:literal $status:literal,)* }
        data: { $($plain:ident($asked:ident => $answered:ident) = $verb:literal $path:literal $success:literal,)* }
    ) => {
        /// The operations of the service that we use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Api { $($name,)* $($plain,)* }

        impl crate::Service for Api {
            const SIGNING_NAME: &'static str = $signing;
            const ENDPOINT: &'static str = $endpoint;
            const VERSION: &'static str = $version;
            const PROTOCOL: crate::Protocol = $protocol;
            const ALL: &'static [Self] = &[$(Self::$name,)* $(Self::$plain,)*];

            fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* $(Self::$plain => stringify!($plain),)* }
            }

            fn binding(self) -> crate::Binding {
                match self {
                    $(Self::$name => crate::Binding { method: $method, uri: $uri, status: $status },)*
                    $(Self::$plain => crate::Binding { method: $verb, uri: $path, status: $success },)*
                }
            }

            fn input(self) -> &'static crate::Shape {
                match self { $(Self::$name => <$input as crate::Shaped>::SHAPE,)* $(Self::$plain => &shapes::$asked,)* }
            }

            fn output(self) -> &'static crate::Shape {
                match self { $(Self::$name => <$output as crate::Shaped>::SHAPE,)* $(Self::$plain => &shapes::$answered,)* }
            }
        }

        $(impl crate::Request for $input {
            type Service = Api;
            type Response = $output;
            const OPERATION: Api = Api::$name;
        })*
    };
}

/// The errors of a service with their HTTP statuses.
macro_rules! service_errors {
    ($($variant:ident($shape:ident) = $status:literal,)+) => {
        /// What the service answers when it does not do what was asked.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Error { $($variant($shape),)+ }

        impl crate::ServiceError for Error {
            fn status(&self) -> u16 {
                match self { $(Self::$variant(_) => $status,)+ }
            }

            fn shape(&self) -> &'static crate::Shape {
                match self { $(Self::$variant(_) => <$shape as crate::Shaped>::SHAPE,)+ }
            }

            fn to_json(&self) -> serde_json::Result<serde_json::Value> {
                match self { $(Self::$variant(error) => serde_json::to_value(error),)+ }
            }
        }

        impl std::fmt::Display for Error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self { $(Self::$variant(error) => write!(f, "{}: {}", stringify!($shape), error.message),)+ }
            }
        }

        impl std::error::Error for Error {}

        $(impl From<$shape> for Error {
            fn from(error: $shape) -> Self { Self::$variant(error) }
        })+
    };
}
