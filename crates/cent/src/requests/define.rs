//! The shape that most requests have: a method, what it cannot do without, and
//! fields that may be set.

/// Defines a request.
///
/// ```text
/// request! {
///     /// What it does.
///     Name("method", Idempotence, combines) -> Reply = how to read it;
///     new(needed: &str);
///     /// What the field does.
///     field: i64;
/// }
/// ```
///
/// `combines` is left out where a call goes alone.
macro_rules! request {
    (@ combines) => { true };
    (
        $(#[$doc:meta])*
        $name:ident($method:literal, $idempotent:ident $(, $combines:ident)?) -> $reply:ty = $read:expr;
        $(#[$new_doc:meta])*
        new($($needed:ident: $type:ty),*);
        $($(#[$field_doc:meta])* $field:ident: $field_type:ty;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[must_use = "a request is sent by a client"]
        pub struct $name($crate::proto::Params);

        impl $name {
            $(#[$new_doc])*
            #[allow(clippy::new_without_default, reason = "some need nothing")]
            pub fn new($($needed: $type),*) -> Self {
                #[allow(unused_mut, reason = "some need nothing")]
                let mut params = $crate::proto::Params::default();
                $(params.put(stringify!($needed), &$needed);)*
                Self(params)
            }

            $(
                $(#[$field_doc])*
                pub fn $field(mut self, $field: $field_type) -> Self {
                    self.0.put(stringify!($field), &$field);
                    self
                }
            )*
        }

        impl $crate::requests::sealed::Sealed for $name {}

        impl $crate::requests::Request for $name {
            type Reply = $reply;
            const METHOD: &'static str = $method;
            const IDEMPOTENT: $crate::requests::Idempotent =
                $crate::requests::Idempotent::$idempotent;
            $(const COMBINES: bool = $crate::requests::define::request!(@ $combines);)?

            fn params(
                self,
                _version: $crate::version::Version,
            ) -> Result<$crate::proto::Params, $crate::error::Error> {
                Ok(self.0)
            }

            fn read(
                reply: $crate::requests::Reply<'_>,
            ) -> Result<$reply, $crate::requests::ReadError> {
                $read(reply)
            }
        }
    };
}

pub(super) use request;
