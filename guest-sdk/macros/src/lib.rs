//! The attributes of `bellwether_guest`, which documents them.

mod component;
mod config;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Makes a function a checker; see `bellwether_guest::checker`.
#[proc_macro_attribute]
pub fn checker(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(arguments, item, component::Kind::Checker)
}

/// Makes a function a restart script; see `bellwether_guest::restart_script`.
#[proc_macro_attribute]
pub fn restart_script(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(arguments, item, component::Kind::RestartScript)
}

/// Makes a type a component's configuration; see `bellwether_guest::config`.
#[proc_macro_attribute]
pub fn config(arguments: TokenStream, item: TokenStream) -> TokenStream {
    config::expand(&arguments.into(), &item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(arguments: TokenStream, item: TokenStream, kind: component::Kind) -> TokenStream {
    let arguments = parse_macro_input!(arguments as component::Arguments);
    let function = parse_macro_input!(item as syn::ItemFn);
    component::expand(&arguments, &function, kind).unwrap_or_else(syn::Error::into_compile_error).into()
}
