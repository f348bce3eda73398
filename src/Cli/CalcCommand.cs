using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using Dnn.Backend;
using Dnn.Dsl;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>The value of an expression, or a table of a function of x and its derivative.</summary>
internal sealed class CalcCommand : CliCommand
{
    private const string FileName = "calc", Head = "model calc {\n  input x: []\n  output value = ";
    private const int TableRows = 17, PlotPoints = 201;

    private readonly Argument<string> expression = new("EXPR") { HelpName = "EXPR", Description = "An expression of the language; x is a number." };
    private readonly Option<string?> range = new("--x") { Description = "Tabulates over this range of x.", HelpName = "LO..HI" };
    private readonly Option<bool> grad = new("--grad") { Description = "Shows the derivative by x as well." };
    private readonly Option<string?> plot = new("--plot") { Description = "Draws the function, and its derivative with --grad.", HelpName = "F.svg" };

    public CalcCommand()
        : base("calc", "Evaluates an expression, or tabulates a function of x.", "dnn calc 'logsumexp([1000, 1000])'", "dnn calc 'gelu(x)' --x -4..4 --grad --plot gelu.svg")
    {
        Arguments.Add(expression);
        Options.Add(range);
        Options.Add(grad);
        Options.Add(plot);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var text = invocation.Get(expression)!;
        var program = Compile(text, invocation);
        var session = new Session(program, Common.Plan(DType.F64, 1));
        session.Prepare(new Dictionary<string, long>());
        var names = program.Outputs.Select(o => o.Name).ToArray();
        if (Range(invocation.Get(range)) is not var (low, high))
        {
            if (program.Inputs.Length > 0)
                throw new UsageException("the expression depends on x: give its range, as in --x -4..4");
            if (invocation.Get(plot) is not null)
                throw new UsageException("--plot draws over a range of x: give one, as in --x -4..4");
            session.Run();
            Show(invocation, session.GetOutput(0));
            return 0;
        }

        var table = Enumerable.Range(0, TableRows).Select(i => Row(session, low + ((high - low) * i / (TableRows - 1)))).ToArray();
        foreach (var row in table)
            invocation.Output.WriteLine(invocation.Json ? JsonText.Object(json => Members(json, names, row)) : string.Concat(row.Select(v => v.ToString("G8", CultureInfo.InvariantCulture).PadLeft(18))));
        if (invocation.Get(plot) is { } path)
        {
            var points = Enumerable.Range(0, PlotPoints).Select(i => Row(session, low + ((high - low) * i / (PlotPoints - 1)))).ToArray();
            Common.Write(path, Plot.Svg(text, "x", "", [.. names.Select((n, k) => new PlotLine(n, [.. points.Select(p => (p[0], p[k + 1]))]))], mayBeLogarithmic: false));
        }

        return 0;
    }

    private static void Members(System.Text.Json.Utf8JsonWriter json, string[] names, double[] row)
    {
        json.WriteReal("x", row[0]);
        for (var i = 0; i < names.Length; i++)
            json.WriteReal(names[i], row[i + 1]);
    }

    /// <summary>x, then the outputs there.</summary>
    private static double[] Row(Session session, double x)
    {
        if (session.Program.Inputs.Length > 0)
            session.SetInput("x", Tensor.Scalar(x));
        session.Run();
        return [x, .. session.Program.Outputs.Select((_, i) => session.ReadScalar(i))];
    }

    private static void Show(Invocation invocation, Tensor value)
    {
        if (!invocation.Json)
        {
            invocation.Output.WriteLine(value.Rank == 0 && value.DType.IsFloat() ? value.ToScalar().ToString("R", CultureInfo.InvariantCulture) : value.ToString());
            return;
        }

        invocation.Output.WriteLine(JsonText.Object(json =>
        {
            json.WriteString("type", value.TypeText);
            json.WriteStartArray("values");
            foreach (var number in value.Cast(DType.F64).AsSpan<double>())
            {
                if (double.IsFinite(number))
                    json.WriteNumberValue(number);
                else
                    json.WriteNullValue();
            }

            json.WriteEndArray();
        }));
    }

    /// <summary>Diagnostics of a text around the expression, at their places in the expression alone.</summary>
    private static ImmutableArray<Diagnostic> Shown(IEnumerable<Diagnostic> diagnostics, string text, int before)
    {
        var source = new SourceText(text, FileName);
        return
        [
            .. diagnostics.Select(d => d with
            {
                Span = Moved(d.Span),
                Message = d.Message.Replace("the end of the file", "the end of the expression", StringComparison.Ordinal),
                Secondary = [.. d.Secondary.Where(l => l.Span.Start >= before).Select(l => l with { Span = Moved(l.Span) })],
                Trace = [.. d.Trace.Select(l => l with { Span = Moved(l.Span) })],
                Fix = d.Fix is { } fix ? fix with { Span = Moved(fix.Span) } : null,
            }),
        ];

        TextSpan Moved(TextSpan span) => span.IsNone ? span : source.Span(Math.Clamp(span.Start - before, 0, text.Length), Math.Clamp(span.End - before, 0, text.Length));
    }

    private static (double Low, double High)? Range(string? text)
    {
        if (text is null)
            return null;
        if (text.Split("..") is [var low, var high]
            && double.TryParse(low, NumberStyles.Float, CultureInfo.InvariantCulture, out var from) && double.TryParse(high, NumberStyles.Float, CultureInfo.InvariantCulture, out var to)
            && double.IsFinite(from) && double.IsFinite(to) && from < to)
        {
            return (from, to);
        }

        throw new UsageException($"--x takes a range such as -4..4, not '{text}'");
    }

    /// <summary>The expression as the output of a model, with its derivative where it is asked for.</summary>
    private Program Compile(string text, Invocation invocation)
    {
        if (string.IsNullOrWhiteSpace(text))
            throw new UsageException("calc takes an expression, such as 'sigmoid(1)'");
        ModelFile.Show(invocation, Shown(Parser.ParseExpression(new SourceText(text, FileName)).Diagnostics, text, 0));
        var result = Compiler.Compile(new SourceText($"{Head}{text}\n}}\n", FileName));
        ModelFile.Show(invocation, Shown(result.Diagnostics, text, Head.Length));
        var model = result.Model!;
        var (x, value) = (model.Inputs[0].Value, Phases.Resolve([model.Outputs[0].Value], training: false)[0]);
        List<Named> outputs = [new("value", value)];
        var isTable = invocation.Get(range) is not null;
        if ((invocation.Get(grad) || isTable) && !value.Shape.IsScalar)
            throw new UsageException($"only a number can be tabulated or differentiated, and this is {value.Type}");
        if (invocation.Get(grad))
            outputs.Add(new("derivative", Gradient.Of(Rewriter.Stabilize.Rewrite(value), x)));
        var depends = Expr.PostOrder(outputs.Select(o => o.Value)).Contains(x);
        return new Program(depends || isTable ? [new("x", x)] : [], [new("seed", RandomState.Seed), new("step", RandomState.Step)], [.. outputs], []).Simplify();
    }
}
