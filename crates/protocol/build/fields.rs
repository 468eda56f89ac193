//! How one field of a message looks in Rust: its types, its default, and the code that reads, writes and copies it.

use crate::code::{When, field_name, when};
use crate::facts::{FieldFacts, FieldKind, Versions};

impl FieldFacts {
    pub fn rust_name(&self) -> String {
        field_name(&self.name)
    }

    pub fn is_option(&self) -> bool {
        !self.nullable.is_empty()
    }

    /// The versions in which it is written in its place and not as a tagged field.
    pub fn in_place(&self) -> Versions {
        if self.tagged.is_empty() {
            return self.versions;
        }
        assert_eq!(self.tagged.high, self.versions.high, "{}: tagged, and then no longer", self.name);
        Versions { low: self.versions.low, high: self.tagged.low - 1 }
    }

    pub fn view_type(&self) -> String {
        self.optional(view_type(&self.kind))
    }

    pub fn owned_type(&self) -> String {
        self.optional(owned_type(&self.kind))
    }

    fn optional(&self, base: String) -> String {
        if self.is_option() { format!("Option<{base}>") } else { base }
    }

    fn default_is_null(&self) -> bool {
        self.default.as_deref() == Some("null")
    }

    pub fn view_default(&self) -> String {
        self.default_of(match &self.kind {
            FieldKind::String => "\"\"".into(),
            FieldKind::Bytes | FieldKind::Records => "&[]".into(),
            FieldKind::Struct(name) => format!("{name}View::default()"),
            FieldKind::Array(_) => "Array::default()".into(),
            _ => self.number_default(),
        })
    }

    pub fn owned_default(&self) -> String {
        self.default_of(match &self.kind {
            FieldKind::String => "String::new()".into(),
            FieldKind::Bytes => "Bytes::new()".into(),
            FieldKind::Records => "Records::default()".into(),
            FieldKind::Struct(name) => format!("{name}::default()"),
            FieldKind::Array(_) => "Vec::new()".into(),
            _ => self.number_default(),
        })
    }

    /// Whether Rust's own default is the schema's.
    pub fn default_is_rusts(&self) -> bool {
        match &self.kind {
            _ if self.is_option() => self.default_is_null(),
            FieldKind::String | FieldKind::Bytes | FieldKind::Records | FieldKind::Array(_) | FieldKind::Struct(_) => {
                true
            }
            _ => matches!(self.number_default().as_str(), "0" | "0.0" | "false" | "Uuid::ZERO"),
        }
    }

    fn default_of(&self, base: String) -> String {
        match (self.is_option(), self.default_is_null()) {
            (true, true) => "None".into(),
            (true, false) => format!("Some({base})"),
            (false, false) => base,
            (false, true) => panic!("{}: default null, and never nullable", self.name),
        }
    }

    fn number_default(&self) -> String {
        let default = self.default.as_deref();
        match &self.kind {
            FieldKind::Bool => default.unwrap_or("false").into(),
            FieldKind::Float64 => default.unwrap_or("0.0").into(),
            FieldKind::Uuid => {
                assert_eq!(default, None, "{}: default of a uuid", self.name);
                "Uuid::ZERO".into()
            }
            _ => match default.unwrap_or("0") {
                hex if hex.starts_with("0x") => i64::from_str_radix(&hex[2..], 16).expect("hex default").to_string(),
                "-2147483648" => "i32::MIN".into(),
                "9223372036854775807" => "i64::MAX".into(),
                decimal => decimal.parse::<i64>().expect("decimal default").to_string(),
            },
        }
    }

    /// Reads it where it stands, in those of `among` that have it there; its default in the others.
    pub fn read_in_place(&self, among: Versions) -> String {
        let in_place = self.in_place();
        if in_place.and(among).is_empty() {
            return self.view_default();
        }
        let nullable = when(self.nullable, in_place.and(among), "version");
        let read = match &self.kind {
            FieldKind::Struct(name) if self.is_option() => {
                assert_eq!(nullable, When::Always, "{}: a struct that is nullable in some versions only", self.name);
                format!("r.nullable_struct::<{name}View<'_>>()")
            }
            FieldKind::Struct(name) => format!("{name}View::read(r)"),
            FieldKind::String if self.never_flexible => "r.nullable_old_string()".into(),
            kind => {
                let method = read_method(kind);
                let plain = format!("r.{method}()");
                if self.is_option() {
                    nullable.choose(&format!("r.nullable_{method}()"), &format!("Some({plain})"))
                } else {
                    plain
                }
            }
        };
        when(in_place, among, "version").choose(&read, &self.view_default())
    }

    /// Reads the value of its tag.
    pub fn read_tagged(&self) -> String {
        match (&self.kind, self.is_option()) {
            (FieldKind::Struct(name), true) => format!("r.nullable_tagged_struct::<{name}View<'_>>()"),
            (FieldKind::Struct(name), false) => format!("{name}View::read(r)"),
            (FieldKind::Records, _) => panic!("{}: records in a tagged field", self.name),
            (kind, true) => format!("r.nullable_{}()", read_method(kind)),
            (kind, false) => format!("r.{}()", read_method(kind)),
        }
    }

    /// Writes it where it stands. `among`: versions that have it there.
    pub fn write_in_place(&self, among: Versions) -> String {
        let name = self.rust_name();
        let null_check = match when(self.nullable, among, "version") {
            _ if !self.is_option() => String::new(),
            When::Always => String::new(),
            When::Never => format!("if self.{name}.is_none() {{ w.fail(EncodeError::Null(\"{name}\")); }}\n"),
            When::If(nullable) => {
                format!("if self.{name}.is_none() && !({nullable}) {{ w.fail(EncodeError::Null(\"{name}\")); }}\n")
            }
        };
        null_check + &self.write_value("w.i8(1);", "w.i8(-1)")
    }

    pub fn write_tagged(&self) -> String {
        self.write_value("w.unsigned_varint(1);", "w.unsigned_varint(0)")
    }

    fn write_value(&self, struct_there: &str, struct_null: &str) -> String {
        let name = self.rust_name();
        match (&self.kind, self.is_option()) {
            (FieldKind::Struct(_), true) => format!(
                "match &self.{name} {{ Some(value) => {{ {struct_there} value.write(w); }} None => {struct_null} }}\n"
            ),
            (FieldKind::Struct(_), false) => format!("self.{name}.write(w);\n"),
            (FieldKind::String, true) if self.never_flexible => {
                format!("w.nullable_old_string(self.{name}.as_deref());\n")
            }
            (FieldKind::String, true) => format!("w.nullable_string(self.{name}.as_deref());\n"),
            (FieldKind::Bytes, true) => format!("w.nullable_bytes(self.{name}.as_ref());\n"),
            (FieldKind::Records, true) => format!("w.nullable_records(self.{name}.as_ref());\n"),
            (FieldKind::Array(element), true) => format!(
                "match &self.{name} {{ Some(values) => {{ {} }} None => w.null_length() }}\n",
                write_array(element, "values")
            ),
            (FieldKind::Array(element), false) => write_array(element, &format!("&self.{name}")),
            (FieldKind::String, false) => format!("w.string(&self.{name});\n"),
            (FieldKind::Bytes, false) => format!("w.bytes(&self.{name});\n"),
            (FieldKind::Records, false) => format!("w.records(&self.{name});\n"),
            (FieldKind::Uuid, false) => format!("w.uuid(&self.{name});\n"),
            (kind, false) => format!("w.{}(self.{name});\n", read_method(kind)),
            (kind, true) => panic!("{}: nullable {kind:?}", self.name),
        }
    }

    /// Whether its value is another than the default, as an expression over `self`.
    pub fn is_set(&self) -> String {
        let name = self.rust_name();
        match (&self.kind, self.is_option()) {
            (_, true) if self.default_is_null() => format!("self.{name}.is_some()"),
            (FieldKind::Struct(_), true) => format!("self.{name} != {}", self.owned_default()),
            (FieldKind::String | FieldKind::Bytes | FieldKind::Records | FieldKind::Array(_), true) => {
                format!("!self.{name}.as_ref().is_some_and(|value| value.is_empty())")
            }
            (FieldKind::String | FieldKind::Bytes | FieldKind::Records | FieldKind::Array(_), false) => {
                format!("!self.{name}.is_empty()")
            }
            (FieldKind::Bool, _) if self.owned_default() == "true" => format!("!self.{name}"),
            (FieldKind::Bool, _) => format!("self.{name}"),
            _ => format!("self.{name} != {}", self.owned_default()),
        }
    }

    /// From view to owned, as an expression over `self`.
    pub fn to_owned(&self) -> String {
        let name = self.rust_name();
        let copy = match &self.kind {
            FieldKind::String => "str::to_owned",
            FieldKind::Bytes => "Bytes::copy_from_slice",
            FieldKind::Records => "Records::copy_of",
            FieldKind::Struct(part) if self.is_option() => {
                return format!("self.{name}.as_ref().map({part}View::to_owned)");
            }
            FieldKind::Struct(_) => return format!("self.{name}.to_owned()"),
            FieldKind::Array(element) => {
                let copy = match &**element {
                    FieldKind::String => "|value| (*value).to_owned()".into(),
                    FieldKind::Struct(name) => format!("{name}View::to_owned"),
                    _ => "|value| *value".into(),
                };
                if self.is_option() {
                    return format!("self.{name}.map(|values| values.to_vec({copy}))");
                }
                return format!("self.{name}.to_vec({copy})");
            }
            _ => return format!("self.{name}"),
        };
        if self.is_option() { format!("self.{name}.map({copy})") } else { format!("{copy}(self.{name})") }
    }
}

fn view_type(kind: &FieldKind) -> String {
    match kind {
        FieldKind::String => "&'a str".into(),
        FieldKind::Bytes | FieldKind::Records => "&'a [u8]".into(),
        FieldKind::Struct(name) => format!("{name}View<'a>"),
        FieldKind::Array(element) => format!("Array<'a, {}>", view_type(element)),
        number => number_type(number).into(),
    }
}

pub fn owned_type(kind: &FieldKind) -> String {
    match kind {
        FieldKind::String => "String".into(),
        FieldKind::Bytes => "Bytes".into(),
        FieldKind::Records => "Records".into(),
        FieldKind::Struct(name) => name.clone(),
        FieldKind::Array(element) => format!("Vec<{}>", owned_type(element)),
        number => number_type(number).into(),
    }
}

fn number_type(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Uuid => "Uuid",
        kind => read_method(kind),
    }
}

/// The method of `Reader`, and but for arrays also of `Writer`.
fn read_method(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Bool => "bool",
        FieldKind::Int8 => "i8",
        FieldKind::Int16 => "i16",
        FieldKind::Uint16 => "u16",
        FieldKind::Int32 => "i32",
        FieldKind::Uint32 => "u32",
        FieldKind::Int64 => "i64",
        FieldKind::Float64 => "f64",
        FieldKind::Uuid => "uuid",
        FieldKind::String => "string",
        FieldKind::Bytes | FieldKind::Records => "bytes",
        FieldKind::Array(_) => "array",
        FieldKind::Struct(name) => panic!("{name} reads itself"),
    }
}

fn write_array(element: &FieldKind, values: &str) -> String {
    match element {
        FieldKind::Struct(_) => {
            let vector = values.trim_start_matches('&');
            format!("w.length({vector}.len()); for element in {values} {{ element.write(w); }}\n")
        }
        kind => format!("w.{}s({values});\n", read_method(kind)),
    }
}
