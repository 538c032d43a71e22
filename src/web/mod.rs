//! The page's API: the only place with wasm-bindgen, web-sys and js-sys.
