//! The answer to a PUT: what was not there was made, what was there is as it was asked for.

use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::types::{ToJSON, Type};

use super::{Created, Found};

/// 201 or 200.
#[derive(Debug)]
pub enum Put<T> {
    Made(Created<T>),
    There(Found<T>),
}

impl<T: ToJSON> IntoResponse for Put<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Made(answer) => answer.into_response(),
            Self::There(answer) => answer.into_response(),
        }
    }
}

impl<T: Type> ApiResponse for Put<T> {
    fn meta() -> MetaResponses {
        let made = Created::<T>::meta().responses;
        MetaResponses { responses: Found::<T>::meta().responses.into_iter().chain(made).collect() }
    }

    fn register(registry: &mut Registry) {
        Found::<T>::register(registry);
    }
}
