using System.CommandLine;
using System.Globalization;
using Dnn.Graph;
using Spectre.Console;

namespace Dnn.Cli;

/// <summary>A table of the layers: what comes out, parameters, operations, memory.</summary>
internal sealed class SummaryCommand : CliCommand
{
    /// <summary>Columns of a table that goes to a file, and those that one has at least.</summary>
    private const int Wide = 200, Narrow = 80;

    private readonly Argument<string> file = Common.File();

    public SummaryCommand()
        : base("summary", "Lists the layers of a model with shapes, parameters, operations and memory.", "dnn summary examples/digits.dnn", "dnn summary examples/digits.dnn --set hidden=512")
    {
        Arguments.Add(file);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var source = ModelFile.Load(invocation.Get(file)!, invocation);
        var (model, memory) = (source.Model, PlannedMemory.Of(source));
        var summary = ModelSummary.Of(model);
        if (invocation.Json)
            invocation.Output.WriteLine(Json(model, summary, memory));
        else
            Show(model, summary, memory, invocation);
        return 0;
    }

    private static string Json(Model model, ModelSummary summary, PlannedMemory? memory) => JsonText.Object(json =>
    {
        json.WriteString("model", model.Name);
        json.WriteStartArray("layers");
        foreach (var row in summary.Rows)
        {
            json.WriteStartObject();
            json.WriteString("path", row.Path);
            json.WriteString("kind", row.Kind);
            json.WriteNumber("depth", row.Depth);
            json.WriteString("output", row.Output);
            json.WriteNumber("parameters", row.Parameters);
            Size("flops_per_row", row.Flops);
            Size("activation_bytes_per_row", row.ActivationBytes);
            if (row.ReceptiveField is { } field)
            {
                json.WriteStartArray("receptive_field");
                foreach (var size in field)
                    json.WriteNumberValue(size);
                json.WriteEndArray();
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("trainable", summary.Trainable);
        json.WriteNumber("frozen", summary.Frozen);
        json.WriteNumber("buffers", summary.Buffers);
        Size("flops_per_row", summary.Flops);
        if (memory is not null)
        {
            if (memory.Training is { } training)
            {
                json.WriteNumber("training_batch", memory.Batch);
                json.WriteNumber("training_bytes", training);
            }

            json.WriteNumber("inference_bytes", memory.Inference);
        }

        void Size(string name, Dim size)
        {
            if (size.IsKnown)
                json.WriteNumber(name, size.Value);
            else
                json.WriteString(name, size.ToString());
        }
    });

    private static void Show(Model model, ModelSummary summary, PlannedMemory? memory, Invocation invocation)
    {
        var terminal = invocation.Terminal;
        var console = Console(terminal);
        var hasFields = summary.Rows.Any(r => r.ReceptiveField is not null);
        var table = new Spectre.Console.Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn(Markup.Escape(model.Name)).NoWrap());
        table.AddColumn("kind");
        table.AddColumn(new TableColumn("output").NoWrap());
        foreach (var column in new[] { "parameters", "FLOP / row", "activation / row" })
            table.AddColumn(new TableColumn(column).RightAligned());
        if (hasFields)
            table.AddColumn(new TableColumn("receptive field").RightAligned());
        foreach (var row in summary.Rows)
        {
            string[] cells =
            [
                new string(' ', 2 * row.Depth) + Markup.Escape(row.Path), Markup.Escape(row.Kind), Markup.Escape(row.Output),
                row.IsShared ? "shared" : row.Parameters == 0 ? "" : Count(row.Parameters), Text(row.Flops, Count), Text(row.ActivationBytes, Bytes),
            ];
            table.AddRow(hasFields ? [.. cells, row.ReceptiveField is { } field ? string.Join(" × ", field) : ""] : cells);
        }

        console.Write(table);
        terminal.Output.WriteLine($"{Count(summary.Trainable)} trainable parameters, {Count(summary.Frozen)} frozen, {Count(summary.Buffers)} in buffers; {Bytes(4 * (summary.Trainable + summary.Frozen + summary.Buffers))} in f32");
        terminal.Output.WriteLine($"{Text(summary.Flops, Count)} FLOP a row forwards");
        if (memory is not null)
            terminal.Output.WriteLine($"tensors as planned: {(memory.Training is { } training ? $"{Bytes(training)} for a training step at batch {memory.Batch}, " : "")}{Bytes(memory.Inference)} for a prediction of one row");
    }

    /// <summary>A console for tables, as wide as the terminal.</summary>
    internal static IAnsiConsole Console(Terminal terminal)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(terminal.Output),
            Ansi = terminal.OutputColors ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = terminal.OutputColors ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
        });
        console.Profile.Width = Math.Max(terminal.Width ?? Wide, Narrow);
        console.Profile.Capabilities.Unicode = true;
        return console;
    }

    private static string Text(Dim size, Func<long, string> format) => size.IsKnown ? size.Value == 0 ? "" : format(size.Value) : Markup.Escape(size.ToString());

    private static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    private static string Bytes(long bytes) => bytes switch
    {
        < 10_000 => $"{Count(bytes)} B",
        < 10_000_000 => $"{(bytes / 1024.0).ToString("N1", CultureInfo.InvariantCulture)} KiB",
        _ => $"{(bytes / 1048576.0).ToString("N1", CultureInfo.InvariantCulture)} MiB",
    };
}
