using System.Collections.Immutable;

namespace Dnn.Dsl;

/// <summary>
/// A node of the tree that the parser makes: immutable, equal by reference, and with the span of its text without
/// surrounding blanks. Chains of operators and pipes are one node with a list, so that a long one is not a deep one;
/// what remains of nesting is bounded by <see cref="Parser.MaxDepth"/>.
/// </summary>
public abstract class SyntaxNode(TextSpan span)
{
    public TextSpan Span { get; } = span;
}

/// <summary>A name where it stands.</summary>
public readonly record struct Identifier(string Text, TextSpan Span)
{
    public override string ToString() => Text;
}

/// <summary>A whole file. <see cref="Declarations"/> holds <see cref="DeclarationSyntax"/> and <see cref="LetSyntax"/> in order.</summary>
public sealed class UnitSyntax(TextSpan span, int? version, ImmutableArray<StatementSyntax> declarations) : SyntaxNode(span)
{
    /// <summary>The number after <c>dnn</c> on the first line.</summary>
    public int? Version { get; } = version;

    public ImmutableArray<StatementSyntax> Declarations { get; } = declarations;
}

// ---- Declarations ----------------------------------------------------------------------------------------------------

/// <summary>One line of a block or file: starts with a keyword, ends at a newline.</summary>
public abstract class StatementSyntax(TextSpan span) : SyntaxNode(span)
{
    /// <summary>The <c>///</c> comment above, if any.</summary>
    public string? Documentation => Span.Source.DocumentationAbove(Span.Start);
}

/// <summary>A statement that stands at the top level only.</summary>
public abstract class DeclarationSyntax(TextSpan span) : StatementSyntax(span);

/// <summary><c>import "path.dnn" (name, other as alias)</c> or <c>import std.resnet (…)</c>.</summary>
public sealed class ImportSyntax(TextSpan span, string path, bool isFile, TextSpan pathSpan, ImmutableArray<ImportedName> names)
    : DeclarationSyntax(span)
{
    /// <summary>The string's value, or the dotted name.</summary>
    public string Path { get; } = path;

    /// <summary>Whether the path was a string, relative to this file.</summary>
    public bool IsFile { get; } = isFile;

    public TextSpan PathSpan { get; } = pathSpan;

    public ImmutableArray<ImportedName> Names { get; } = names;
}

public readonly record struct ImportedName(Identifier Name, Identifier? Alias)
{
    /// <summary>The name it has in the importing file.</summary>
    public Identifier Local => Alias ?? Name;
}

/// <summary><c>hyper name: type = value [in lo..hi]</c>; <see cref="Range"/> includes both ends.</summary>
public sealed class HyperSyntax(TextSpan span, Identifier name, TypeSyntax type, ExprSyntax value, RangeSyntax? range)
    : DeclarationSyntax(span)
{
    public Identifier Name { get; } = name;

    public TypeSyntax Type { get; } = type;

    public ExprSyntax Value { get; } = value;

    public RangeSyntax? Range { get; } = range;
}

/// <summary><c>layer name(hyper…)(tensors…) -> type { … } gradient (…) { … }</c>.</summary>
public sealed class LayerSyntax(
    TextSpan span, Identifier name, ParameterListSyntax? hypers, ParameterListSyntax tensors, TypeSyntax? result, BlockSyntax body,
    GradientSyntax? gradient) : DeclarationSyntax(span)
{
    public Identifier Name { get; } = name;

    /// <summary>The first of two lists; null where there is one, which is the tensors'.</summary>
    public ParameterListSyntax? Hypers { get; } = hypers;

    public ParameterListSyntax Tensors { get; } = tensors;

    public TypeSyntax? Result { get; } = result;

    public BlockSyntax Body { get; } = body;

    public GradientSyntax? Gradient { get; } = gradient;
}

public sealed class ParameterListSyntax(TextSpan span, ImmutableArray<ParameterSyntax> parameters) : SyntaxNode(span)
{
    public ImmutableArray<ParameterSyntax> Parameters { get; } = parameters;
}

/// <summary><c>name [: type] [= default]</c>.</summary>
public sealed class ParameterSyntax(TextSpan span, Identifier name, TypeSyntax? type, ExprSyntax? defaultValue) : SyntaxNode(span)
{
    public Identifier Name { get; } = name;

    public TypeSyntax? Type { get; } = type;

    public ExprSyntax? Default { get; } = defaultValue;
}

/// <summary>A layer's own rule, <c>gradient (x, y, dy) { … }</c>.</summary>
public sealed class GradientSyntax(TextSpan span, ImmutableArray<Identifier> names, BlockSyntax body) : SyntaxNode(span)
{
    public ImmutableArray<Identifier> Names { get; } = names;

    public BlockSyntax Body { get; } = body;
}

/// <summary><c>model Name(hyper…) { … }</c>.</summary>
public sealed class ModelSyntax(TextSpan span, Identifier name, ParameterListSyntax? hypers, BlockSyntax body) : DeclarationSyntax(span)
{
    public Identifier Name { get; } = name;

    public ParameterListSyntax? Hypers { get; } = hypers;

    public BlockSyntax Body { get; } = body;
}

/// <summary><c>data name = source(args…) { … }</c>.</summary>
public sealed class DataSyntax(TextSpan span, Identifier name, ExprSyntax source, ImmutableArray<DataOptionSyntax> options)
    : DeclarationSyntax(span)
{
    public Identifier Name { get; } = name;

    public ExprSyntax Source { get; } = source;

    public ImmutableArray<DataOptionSyntax> Options { get; } = options;
}

/// <summary>A line of a data block: a word with arguments, or <c>augment { step… }</c>.</summary>
public sealed class DataOptionSyntax(TextSpan span, Identifier name, ImmutableArray<ArgumentSyntax> arguments, ImmutableArray<ExprSyntax> steps)
    : SyntaxNode(span)
{
    public Identifier Name { get; } = name;

    public ImmutableArray<ArgumentSyntax> Arguments { get; } = arguments;

    /// <summary>What stood in the braces after <c>augment</c>: names and calls.</summary>
    public ImmutableArray<ExprSyntax> Steps { get; } = steps;
}

/// <summary><c>train [name =] Model(args…) on data { … }</c>.</summary>
public sealed class TrainSyntax(TextSpan span, Identifier? name, CallSyntax model, Identifier data, ImmutableArray<TrainOptionSyntax> options)
    : DeclarationSyntax(span)
{
    public Identifier? Name { get; } = name;

    public CallSyntax Model { get; } = model;

    public Identifier Data { get; } = data;

    public ImmutableArray<TrainOptionSyntax> Options { get; } = options;
}

/// <summary>
/// A line of a train block. <c>name expr</c> has one argument without a name; <c>name k = v, …</c> and <c>name(k = v)</c> are the same.
/// </summary>
public sealed class TrainOptionSyntax(
    TextSpan span, Identifier name, ImmutableArray<ArgumentSyntax> arguments, ExprSyntax? on, Identifier? minimize, ExprSyntax? every,
    ImmutableArray<StringSyntax> only, ImmutableArray<RenameSyntax> renames) : SyntaxNode(span)
{
    public Identifier Name { get; } = name;

    public ImmutableArray<ArgumentSyntax> Arguments { get; } = arguments;

    public ExprSyntax? On { get; } = on;

    public Identifier? Minimize { get; } = minimize;

    public ExprSyntax? Every { get; } = every;

    public ImmutableArray<StringSyntax> Only { get; } = only;

    public ImmutableArray<RenameSyntax> Renames { get; } = renames;
}

/// <summary><c>rename "old" = "new"</c>.</summary>
public sealed class RenameSyntax(TextSpan span, StringSyntax old, StringSyntax @new) : SyntaxNode(span)
{
    public StringSyntax Old { get; } = old;

    public StringSyntax New { get; } = @new;
}

/// <summary><c>test "what" { … }</c>.</summary>
public sealed class TestSyntax(TextSpan span, StringSyntax title, BlockSyntax body) : DeclarationSyntax(span)
{
    public StringSyntax Title { get; } = title;

    public BlockSyntax Body { get; } = body;
}

// ---- Statements ------------------------------------------------------------------------------------------------------

/// <summary>The statements between braces; which of them may stand where is the binder's question.</summary>
public sealed class BlockSyntax(TextSpan span, ImmutableArray<StatementSyntax> statements) : SyntaxNode(span)
{
    public ImmutableArray<StatementSyntax> Statements { get; } = statements;
}

/// <summary><c>let pattern [: type] = expr</c>, in blocks and at the top level; a layer with a path of its own as <c>let "a.b[3]" as name = dense(4)</c>.</summary>
public sealed class LetSyntax(TextSpan span, StringSyntax? path, PatternSyntax pattern, TypeSyntax? type, ExprSyntax value) : StatementSyntax(span)
{
    public StringSyntax? Path { get; } = path;

    public PatternSyntax Pattern { get; } = pattern;

    public TypeSyntax? Type { get; } = type;

    public ExprSyntax Value { get; } = value;
}

/// <summary><c>param name: type = init, frozen, lr_scale = 0.1</c>, with a path of its own as <c>param "a.b[3]" as name: …</c>.</summary>
public sealed class ParamSyntax(
    TextSpan span, Identifier name, StringSyntax? path, TypeSyntax type, ExprSyntax value, ImmutableArray<ParamOptionSyntax> options)
    : StatementSyntax(span)
{
    public Identifier Name { get; } = name;

    public StringSyntax? Path { get; } = path;

    public TypeSyntax Type { get; } = type;

    public ExprSyntax Value { get; } = value;

    public ImmutableArray<ParamOptionSyntax> Options { get; } = options;
}

/// <summary>A word after a parameter's initializer, perhaps with a value.</summary>
public readonly record struct ParamOptionSyntax(Identifier Name, ExprSyntax? Value);

/// <summary><c>buffer name: type = init</c>, with a path of its own as <c>buffer "a.b[3]" as name: …</c>.</summary>
public sealed class BufferSyntax(TextSpan span, Identifier name, StringSyntax? path, TypeSyntax type, ExprSyntax value) : StatementSyntax(span)
{
    public Identifier Name { get; } = name;

    public StringSyntax? Path { get; } = path;

    public TypeSyntax Type { get; } = type;

    public ExprSyntax Value { get; } = value;
}

public sealed class UpdateSyntax(TextSpan span, Identifier name, ExprSyntax value) : StatementSyntax(span)
{
    public Identifier Name { get; } = name;

    public ExprSyntax Value { get; } = value;
}

public sealed class RequireSyntax(TextSpan span, ExprSyntax condition, ExprSyntax? message) : StatementSyntax(span)
{
    public ExprSyntax Condition { get; } = condition;

    public ExprSyntax? Message { get; } = message;
}

public sealed class AssertSyntax(TextSpan span, ExprSyntax condition, ExprSyntax? message) : StatementSyntax(span)
{
    public ExprSyntax Condition { get; } = condition;

    public ExprSyntax? Message { get; } = message;
}

/// <summary><c>assert_shape(x, [2, 3])</c> and <c>assert_gradients(Model)</c>: the word is the callee.</summary>
public sealed class AssertCallSyntax(TextSpan span, CallSyntax call) : StatementSyntax(span)
{
    public CallSyntax Call { get; } = call;

    /// <summary>The word at the start.</summary>
    public string Word => ((NameSyntax)Call.Callee).Name.Text;
}

/// <summary><c>assert_error "DNN0301" { … }</c>: the statements raise this code, and no other.</summary>
public sealed class AssertErrorSyntax(TextSpan span, StringSyntax code, BlockSyntax body) : StatementSyntax(span)
{
    public StringSyntax Code { get; } = code;

    public BlockSyntax Body { get; } = body;
}

public sealed class ReturnSyntax(TextSpan span, ExprSyntax value) : StatementSyntax(span)
{
    public ExprSyntax Value { get; } = value;
}

public sealed class InputSyntax(TextSpan span, Identifier name, TypeSyntax type) : StatementSyntax(span)
{
    public Identifier Name { get; } = name;

    public TypeSyntax Type { get; } = type;
}

public sealed class TargetSyntax(TextSpan span, Identifier name, TypeSyntax type) : StatementSyntax(span)
{
    public Identifier Name { get; } = name;

    public TypeSyntax Type { get; } = type;
}

public sealed class OutputSyntax(TextSpan span, Identifier name, ExprSyntax value) : StatementSyntax(span)
{
    public Identifier Name { get; } = name;

    public ExprSyntax Value { get; } = value;
}

public sealed class MetricSyntax(TextSpan span, Identifier name, ExprSyntax value) : StatementSyntax(span)
{
    public Identifier Name { get; } = name;

    public ExprSyntax Value { get; } = value;
}

/// <summary><c>loss expr [as name]</c>.</summary>
public sealed class LossSyntax(TextSpan span, ExprSyntax value, Identifier? name) : StatementSyntax(span)
{
    public ExprSyntax Value { get; } = value;

    public Identifier? Name { get; } = name;
}

// ---- Patterns and types ----------------------------------------------------------------------------------------------

public abstract class PatternSyntax(TextSpan span) : SyntaxNode(span);

public sealed class NamePatternSyntax(Identifier name) : PatternSyntax(name.Span)
{
    public Identifier Name { get; } = name;
}

/// <summary><c>_</c>.</summary>
public sealed class DiscardPatternSyntax(TextSpan span) : PatternSyntax(span);

/// <summary><c>(a, (b, _))</c>; parentheses around one pattern are that pattern.</summary>
public sealed class TuplePatternSyntax(TextSpan span, ImmutableArray<PatternSyntax> items) : PatternSyntax(span)
{
    public ImmutableArray<PatternSyntax> Items { get; } = items;
}

public abstract class TypeSyntax(TextSpan span) : SyntaxNode(span);

/// <summary><c>int float bool string init layer schedule</c>; the name is one of these, or was reported.</summary>
public sealed class NamedTypeSyntax(Identifier name) : TypeSyntax(name.Span)
{
    public Identifier Name { get; } = name;
}

/// <summary><c>[B, T]</c>, <c>i64[B]</c>. A dimension is an <see cref="EllipsisSyntax"/> or an expression without pipes.</summary>
public sealed class TensorTypeSyntax(TextSpan span, Identifier? element, ImmutableArray<ExprSyntax> dimensions) : TypeSyntax(span)
{
    /// <summary><c>f32 f64 i64 bool int float</c>, or none for the run's float type.</summary>
    public Identifier? Element { get; } = element;

    public ImmutableArray<ExprSyntax> Dimensions { get; } = dimensions;
}

public sealed class TupleTypeSyntax(TextSpan span, ImmutableArray<TypeSyntax> items) : TypeSyntax(span)
{
    public ImmutableArray<TypeSyntax> Items { get; } = items;
}

/// <summary>A static list, <c>[int]</c>.</summary>
public sealed class ListTypeSyntax(TextSpan span, TypeSyntax element) : TypeSyntax(span)
{
    public TypeSyntax Element { get; } = element;
}

// ---- Expressions -----------------------------------------------------------------------------------------------------

public abstract class ExprSyntax(TextSpan span) : SyntaxNode(span)
{
    /// <summary>This expression without parentheses around it.</summary>
    public ExprSyntax Bare
    {
        get
        {
            var e = this;
            while (e is ParenthesizedSyntax p) e = p.Inner;
            return e;
        }
    }
}

/// <summary>What a count counts.</summary>
public enum CountUnit
{
    None,
    Steps,
    Epochs,
}

/// <summary><c>1</c>, <c>0.5</c>, <c>1e-3</c>, <c>80%</c>, <c>50 steps</c>.</summary>
public sealed class NumberSyntax(TextSpan span, double value, long? integer, bool isPercent, CountUnit unit) : ExprSyntax(span)
{
    /// <summary>The value; <c>80%</c> is 0.8.</summary>
    public double Value { get; } = value;

    /// <summary>The exact value of a number written with digits alone; null for floats and percentages.</summary>
    public long? Integer { get; } = integer;

    public bool IsPercent { get; } = isPercent;

    public CountUnit Unit { get; } = unit;
}

/// <summary>A string; <see cref="Value"/> has its escapes replaced.</summary>
public sealed class StringSyntax(TextSpan span, string value) : ExprSyntax(span)
{
    public string Value { get; } = value;

    /// <summary>Where a part of the value stands in the source, so that patterns inside strings have places of their own.</summary>
    public TextSpan SpanOf(int start, int length)
    {
        int from = StringLiteral.Offset(Span.Text, start);
        return new(Span.Source, Span.Start + from, StringLiteral.Offset(Span.Text, start + length) - from);
    }
}

public sealed class BoolSyntax(TextSpan span, bool value) : ExprSyntax(span)
{
    public bool Value { get; } = value;
}

public sealed class NameSyntax(Identifier name) : ExprSyntax(name.Span)
{
    public Identifier Name { get; } = name;
}

public sealed class ParenthesizedSyntax(TextSpan span, ExprSyntax inner) : ExprSyntax(span)
{
    public ExprSyntax Inner { get; } = inner;
}

/// <summary><c>(a, b)</c> or <c>(a,)</c>.</summary>
public sealed class TupleSyntax(TextSpan span, ImmutableArray<ExprSyntax> items) : ExprSyntax(span)
{
    public ImmutableArray<ExprSyntax> Items { get; } = items;
}

public sealed class ListSyntax(TextSpan span, ImmutableArray<ExprSyntax> items) : ExprSyntax(span)
{
    public ImmutableArray<ExprSyntax> Items { get; } = items;
}

/// <summary><c>[expr for i in range]</c>.</summary>
public sealed class ComprehensionSyntax(TextSpan span, ExprSyntax element, PatternSyntax pattern, ExprSyntax source) : ExprSyntax(span)
{
    public ExprSyntax Element { get; } = element;

    public PatternSyntax Pattern { get; } = pattern;

    public ExprSyntax Source { get; } = source;
}

/// <summary><c>start..end</c>, after <c>in</c> only; whether the end is included depends on where it stands.</summary>
public sealed class RangeSyntax(TextSpan span, ExprSyntax start, ExprSyntax end) : ExprSyntax(span)
{
    public ExprSyntax Start { get; } = start;

    public ExprSyntax End { get; } = end;
}

public enum UnaryOperator
{
    Negate,
    Not,
}

public sealed class UnarySyntax(TextSpan span, UnaryOperator @operator, ExprSyntax operand) : ExprSyntax(span)
{
    public UnaryOperator Operator { get; } = @operator;

    public ExprSyntax Operand { get; } = operand;
}

public enum BinaryOperator
{
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    MatMul,
    Power,
}

/// <summary>How operators are written.</summary>
public static class Operators
{
    public static string Text(this BinaryOperator op) => op switch
    {
        BinaryOperator.Or => "or",
        BinaryOperator.And => "and",
        BinaryOperator.Equal => "==",
        BinaryOperator.NotEqual => "!=",
        BinaryOperator.Less => "<",
        BinaryOperator.LessOrEqual => "<=",
        BinaryOperator.Greater => ">",
        BinaryOperator.GreaterOrEqual => ">=",
        BinaryOperator.Add => "+",
        BinaryOperator.Subtract => "-",
        BinaryOperator.Multiply => "*",
        BinaryOperator.Divide => "/",
        BinaryOperator.Modulo => "%",
        BinaryOperator.MatMul => "@",
        BinaryOperator.Power => "**",
        _ => throw new ArgumentOutOfRangeException(nameof(op), op, null),
    };

    public static string Text(this UnaryOperator op) => op == UnaryOperator.Not ? "not" : "-";
}

/// <summary>An operator with what stands to its right.</summary>
public readonly record struct OperandSyntax(BinaryOperator Operator, TextSpan OperatorSpan, ExprSyntax Operand);

/// <summary>
/// Operators of one level of precedence, applied from the left: <c>a - b + c</c> is First = a, Rest = [- b, + c].
/// Comparisons (which do not chain) and <c>**</c> (whose operand nests to the right) have exactly one operand in Rest.
/// </summary>
public sealed class BinarySyntax(TextSpan span, ExprSyntax first, ImmutableArray<OperandSyntax> rest) : ExprSyntax(span)
{
    public ExprSyntax First { get; } = first;

    public ImmutableArray<OperandSyntax> Rest { get; } = rest;
}

/// <summary><c>x |> f |> g</c>: First = x, Stages = [f, g], from the left.</summary>
public sealed class PipeSyntax(TextSpan span, ExprSyntax first, ImmutableArray<ExprSyntax> stages) : ExprSyntax(span)
{
    public ExprSyntax First { get; } = first;

    public ImmutableArray<ExprSyntax> Stages { get; } = stages;
}

public sealed class IfSyntax(TextSpan span, ExprSyntax condition, ExprSyntax then, ExprSyntax @else) : ExprSyntax(span)
{
    public ExprSyntax Condition { get; } = condition;

    public ExprSyntax Then { get; } = then;

    public ExprSyntax Else { get; } = @else;
}

/// <summary><c>pattern => expr</c> or <c>pattern => { … }</c>: one of <see cref="Value"/> and <see cref="Block"/> is there.</summary>
public sealed class LambdaSyntax(TextSpan span, PatternSyntax pattern, ExprSyntax? value, BlockSyntax? block) : ExprSyntax(span)
{
    public PatternSyntax Pattern { get; } = pattern;

    public ExprSyntax? Value { get; } = value;

    public BlockSyntax? Block { get; } = block;
}

/// <summary><c>for pattern in source { let … layer-expr }</c>.</summary>
public sealed class ForSyntax(TextSpan span, PatternSyntax pattern, ExprSyntax source, ImmutableArray<LetSyntax> lets, ExprSyntax body)
    : ExprSyntax(span)
{
    public PatternSyntax Pattern { get; } = pattern;

    /// <summary>A <see cref="RangeSyntax"/> or any static list.</summary>
    public ExprSyntax Source { get; } = source;

    public ImmutableArray<LetSyntax> Lets { get; } = lets;

    public ExprSyntax Body { get; } = body;
}

public sealed class CallSyntax(TextSpan span, ExprSyntax callee, ImmutableArray<ArgumentSyntax> arguments) : ExprSyntax(span)
{
    public ExprSyntax Callee { get; } = callee;

    public ImmutableArray<ArgumentSyntax> Arguments { get; } = arguments;
}

/// <summary><c>[name =] expr</c>.</summary>
public sealed class ArgumentSyntax(TextSpan span, Identifier? name, ExprSyntax value) : SyntaxNode(span)
{
    public Identifier? Name { get; } = name;

    public ExprSyntax Value { get; } = value;
}

/// <summary><c>x[i, 1:, ...]</c>: each index is an <see cref="EllipsisSyntax"/>, a <see cref="SliceSyntax"/> or another expression.</summary>
public sealed class IndexSyntax(TextSpan span, ExprSyntax target, ImmutableArray<ExprSyntax> indices) : ExprSyntax(span)
{
    public ExprSyntax Target { get; } = target;

    public ImmutableArray<ExprSyntax> Indices { get; } = indices;
}

/// <summary><c>start:stop:step</c>, in an index only; every part may be absent.</summary>
public sealed class SliceSyntax(TextSpan span, ExprSyntax? start, ExprSyntax? stop, ExprSyntax? step) : ExprSyntax(span)
{
    public ExprSyntax? Start { get; } = start;

    public ExprSyntax? Stop { get; } = stop;

    public ExprSyntax? Step { get; } = step;
}

/// <summary>Stands where an expression was not understood, which is among the diagnostics.</summary>
public sealed class ErrorSyntax(TextSpan span) : ExprSyntax(span);

/// <summary><c>...</c>, as an index or a dimension only.</summary>
public sealed class EllipsisSyntax(TextSpan span) : ExprSyntax(span);

public sealed class FieldSyntax(TextSpan span, ExprSyntax target, Identifier name) : ExprSyntax(span)
{
    public ExprSyntax Target { get; } = target;

    public Identifier Name { get; } = name;
}
