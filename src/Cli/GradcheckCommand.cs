using System.CommandLine;
using System.Globalization;
using Dnn.Checking;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>Holds every derivative of a model against independent oracles.</summary>
internal sealed class GradcheckCommand : CliCommand
{
    private readonly Argument<string> file = Common.File();
    private readonly Option<int?> order = new("--order") { Description = "1 for gradients (default), 2 for their derivatives as well.", HelpName = "1|2" };
    private readonly Option<int?> samples = Common.Count("--samples", "N", "How many points are checked; 1 unless given.");

    public GradcheckCommand()
        : base("gradcheck", "Checks every derivative of a model against independent oracles.", "dnn gradcheck examples/two_moons.dnn --order 2")
    {
        Common.OneOf(order, "1", "2");
        Arguments.Add(file);
        Options.Add(order);
        Options.Add(samples);
        AddCommon();
    }

    public override int Execute(Invocation invocation)
    {
        var source = ModelFile.Load(invocation.Get(file)!, invocation, withData: true);
        var model = source.Model;
        var data = source.HasTraining ? source.Reader.Read(source.Training().Data)[DataDescription.Train] : null;
        var (checks, skipped) = (0, 0);
        var findings = new List<GradientFinding>();
        for (var sample = 0; sample < (invocation.Get(samples) ?? 1); sample++)
        {
            var report = ModelGradients.Check(model, invocation.Get(order) ?? 1, sample, source.Seed, data);
            (checks, skipped) = (checks + report.Checks, skipped + report.Skipped);
            findings.AddRange(report.Findings);
        }

        if (invocation.Json)
            invocation.Output.WriteLine(Json(model, checks, skipped, findings));
        else
            Show(model, checks, skipped, findings, invocation);
        return findings.Count == 0 ? 0 : 1;
    }

    private static void Show(Model model, int checks, int skipped, List<GradientFinding> findings, Invocation invocation)
    {
        foreach (var finding in findings)
            invocation.Output.WriteLine($"{finding}{ModelGradients.Place(model, finding)}");
        if (!invocation.Quiet || findings.Count > 0)
            invocation.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{checks} comparisons, {findings.Count} wrong, {skipped} without an answer (at a kink, or beyond the oracle's precision)"));
    }

    private static string Json(Model model, int checks, int skipped, List<GradientFinding> findings) => JsonText.Object(json =>
    {
        json.WriteNumber("checks", checks);
        json.WriteNumber("skipped", skipped);
        json.WriteStartArray("wrong");
        foreach (var finding in findings)
        {
            json.WriteStartObject();
            json.WriteString("op", finding.Node.Op.Name);
            json.WriteString("oracle", finding.Oracle.ToString());
            json.WriteReal("expected", finding.Expected);
            json.WriteReal("actual", finding.Actual);
            json.WriteString("message", finding.Reason + ModelGradients.Place(model, finding));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });
}
