using System.Collections.Immutable;

namespace Dnn.Dsl;

/// <summary>
/// Every diagnostic there is. 0001–0099 letters and syntax, 0100–0299 names and kinds, 0300–0499 types and shapes, 0500–0599 data and
/// training, 1001–1015 lint. A row registers itself; codes are never reused.
/// </summary>
public static class DiagnosticCodes
{
    private static readonly List<DiagnosticDescriptor> _rows = [];

    // ---- 0001–0019: letters ------------------------------------------------------------------------------------------

    public static readonly DiagnosticDescriptor UnknownCharacter = Error("DNN0001", "character that means nothing here",
        "The language uses letters, digits, `_` and its operators. Anything else may stand in strings and comments only.",
        "let a = $rate", "let rate = 0.1");

    public static readonly DiagnosticDescriptor LookAlike = Error("DNN0002", "character that looks like another",
        "A character was pasted that looks like one of the language but is another, such as a typographic quote, a long dash, a "
        + "no-break space or a Cyrillic letter. Two names that look the same would be different.",
        "let a = 2 × 3", "let a = 2 * 3");

    public static readonly DiagnosticDescriptor UnterminatedString = Error("DNN0003", "string without an end",
        "A string starts and ends with a double quote on one line. A line break inside is written `\\n`, a quote `\\\"`.",
        "let a = \"digits", "let a = \"digits\"");

    public static readonly DiagnosticDescriptor BadEscape = Error("DNN0004", "unknown escape in a string",
        "After a backslash, a string knows `\\n \\r \\t \\0 \\\\ \\\"` and `\\u{…}` with one to six hexadecimal digits of a Unicode scalar value.",
        "let a = \"C:\\data\"", "let a = \"C:\\\\data\"");

    public static readonly DiagnosticDescriptor MalformedNumber = Error("DNN0005", "number that runs into letters",
        "A number is digits, perhaps a point with digits, perhaps an exponent such as `e-3`. There are no separators, prefixes or "
        + "suffixes; a product is written with `*`, and a unit stands apart: `50 steps`.",
        "let a = 1_000", "let a = 1000");

    public static readonly DiagnosticDescriptor BarePoint = Error("DNN0006", "decimal point without digits on both sides",
        "Write `1.0` and `0.5`: a bare point is easily overlooked, and `0..n` is a range.",
        "let a = 1.", "let a = 1.0");

    public static readonly DiagnosticDescriptor NumberOutOfRange = Error("DNN0007", "number that is too large",
        "Whole numbers reach to 2⁶³ − 1, floats to about 1.8e308 in magnitude. Infinity is written `inf`.",
        "let a = 1e999", "let a = inf");

    public static readonly DiagnosticDescriptor ForeignOperator = Error("DNN0008", "operator of another language",
        "Powers are written `**`, logic with the words `and`, `or` and `not`.",
        "let a = 2 ^ 10", "let a = 2 ** 10");

    public static readonly DiagnosticDescriptor Semicolon = Error("DNN0009", "semicolon",
        "A statement ends where its line ends, and arguments are told apart by commas.",
        "let a = 1;", "let a = 1");

    public static readonly DiagnosticDescriptor ForeignComment = Error("DNN0010", "comment of another language",
        "A comment starts with `//` and goes to the end of the line; `///` documents the declaration below.",
        "# the rate\nlet rate = 0.1", "// the rate\nlet rate = 0.1");

    public static readonly DiagnosticDescriptor SingleQuotes = Error("DNN0011", "string in single quotes",
        "Strings stand in double quotes.",
        "let a = 'same'", "let a = \"same\"");

    public static readonly DiagnosticDescriptor Tab = Warning("DNN0012", "tab character",
        "A tab is as wide as each editor pleases, so what is aligned on one screen is not on another. It is read as a blank; "
        + "`dnn fmt` writes spaces. Only the first of a file is reported.",
        "model M {\n\tinput x: [B, 2]\n}", "model M {\n  input x: [B, 2]\n}");

    // ---- 0020–0099: syntax -------------------------------------------------------------------------------------------

    public static readonly DiagnosticDescriptor UnexpectedToken = Error("DNN0020", "something else was expected here",
        "The text up to this place is the beginning of something that cannot go on like this. The message names what could follow.",
        "let a = 1 +", "let a = 1 + 2");

    public static readonly DiagnosticDescriptor Unclosed = Error("DNN0021", "bracket that is not closed",
        "Each `(`, `[` and `{` needs its partner. The second place shown is the bracket that is still open.",
        "let a = (1 + 2", "let a = (1 + 2)");

    public static readonly DiagnosticDescriptor Unopened = Error("DNN0022", "closing bracket without an opening one",
        "A `)`, `]` or `}` closes the latest bracket that is open, and here none of its kind is.",
        "let a = 1 + 2)", "let a = (1 + 2)");

    public static readonly DiagnosticDescriptor ComparisonChain = Error("DNN0023", "comparisons in a row",
        "`a < b < c` would compare a truth value with c. Write both comparisons and join them with `and`.",
        "let a = 0 < 1 < 2", "let a = 0 < 1 and 1 < 2");

    public static readonly DiagnosticDescriptor NeedsParentheses = Error("DNN0024", "expression that needs parentheses here",
        "The last part of an `if` or a lambda extends as far right as it can. As an operand, or right after `|>`, it needs parentheses to "
        + "say where it ends.",
        "let a = 1 |> if true then relu else tanh", "let a = 1 |> (if true then relu else tanh)");

    public static readonly DiagnosticDescriptor StatementIfFor = Error("DNN0025", "if or for as a statement",
        "A file describes an expression graph, so there is nothing that is done conditionally or repeatedly: `if c then a else b` and "
        + "`for i in 0..n { layer }` are values. Bind or apply them: `let h = if deep then … else …`, `x |> for i in 0..n { … }`.",
        "layer f(x: [B]) {\n  for i in 0..3 { relu }\n  return x\n}", "layer f(x: [B]) {\n  return x |> for i in 0..3 { relu }\n}");

    public static readonly DiagnosticDescriptor AssignInExpression = Error("DNN0026", "= where == is meant",
        "`=` gives a name its value, at the start of a statement or in an argument list. `==` compares.",
        "let a = (1 = 2)", "let a = (1 == 2)");

    public static readonly DiagnosticDescriptor ReservedWord = Error("DNN0027", "reserved word as a name",
        "The words `if then else for in let return or and not true false` have one meaning everywhere and name nothing else.",
        "let in = 1", "let input = 1");

    public static readonly DiagnosticDescriptor UnknownStatement = Error("DNN0028", "line that starts with no keyword",
        "Every line of a file or block starts with a word that says what it is: `let`, `layer`, `param`, `return` and so on.",
        "modle M {\n}", "model M {\n}");

    public static readonly DiagnosticDescriptor UnusedValue = Error("DNN0029", "value that goes nowhere",
        "An expression on a line of its own would be computed and dropped. Bind it with `let`, or make it the result with `return`.",
        "layer f(x: [B]) {\n  relu(x)\n}", "layer f(x: [B]) {\n  return relu(x)\n}");

    public static readonly DiagnosticDescriptor TooDeep = Error("DNN0030", "nested too deeply",
        "Brackets, lambdas and prefix operators nest to a fixed depth, far beyond what can be read. Name a part with `let`.",
        "let a = " + new string('-', 1000) + "1", "let a = --1");

    public static readonly DiagnosticDescriptor UnknownType = Error("DNN0031", "unknown type",
        "Types are `int float bool string init layer schedule`, lists of them such as `[int]`, tensors such as `[B, T]` or `i64[B]` "
        + "(element types `f32 f64 i64 bool int float`), and tuples of types.",
        "hyper a: integer = 1", "hyper a: int = 1");

    public static readonly DiagnosticDescriptor LanguageVersion = Error("DNN0032", "unknown language version",
        "The first line may name the version of the language that the file is written in. This program knows version 1.",
        "dnn 2", "dnn 1");

    public static readonly DiagnosticDescriptor WrongLevel = Error("DNN0033", "declaration inside a block, or statement outside",
        "`import hyper layer model data train test` stand at the top level of a file; `param buffer update input target output loss metric "
        + "require assert return` stand in the block of a layer, model or test. `let` may stand in both.",
        "param w: [3] = 0", "layer f(x: [3]) {\n  param w: [3] = 0\n  return x * w\n}");

    /// <summary>The whole table, in order of the code.</summary>
    public static ImmutableArray<DiagnosticDescriptor> All { get; } = [.. _rows.OrderBy(r => r.Code, StringComparer.Ordinal)];

    /// <summary>The row of a code, or null.</summary>
    public static DiagnosticDescriptor? Find(string code) =>
        All.FirstOrDefault(r => r.Code.Equals(code, StringComparison.OrdinalIgnoreCase));

    private static DiagnosticDescriptor Error(string code, string title, string explanation, string bad, string good) =>
        Row(new(code, Severity.Error, title, explanation, bad, good));

    private static DiagnosticDescriptor Warning(string code, string title, string explanation, string bad, string good) =>
        Row(new(code, Severity.Warning, title, explanation, bad, good));

    private static DiagnosticDescriptor Row(DiagnosticDescriptor row)
    {
        _rows.Add(row);
        return row;
    }
}
