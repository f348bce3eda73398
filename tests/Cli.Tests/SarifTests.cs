using System.Text.Json;
using Dnn.Dsl;
using Xunit;

namespace Dnn.Cli.Tests;

/// <summary><c>dnn check --sarif</c>, held to what SARIF 2.1.0 (OASIS 2020, section 3) asks of the objects that are written.</summary>
public class SarifTests : Workspace
{
    /// <summary>The properties that an object may have; a star marks those it must have. No others are allowed by the standard's schema or by this one.</summary>
    private static readonly Dictionary<string, string> Objects = new()
    {
        ["log"] = "$schema: uri, version*: =2.1.0, runs*: run[]",
        ["run"] = "tool*: tool, columnKind: =utf16CodeUnits, results: result[]",
        ["tool"] = "driver*: driver",
        ["driver"] = "name*: text, version: text, rules: rule[]",
        ["rule"] = "id*: text, shortDescription: message, fullDescription: message, help: message, defaultConfiguration: configuration",
        ["configuration"] = "level: level",
        ["message"] = "text*: text, markdown: text",
        ["content"] = "text*: anything",
        ["result"] = "ruleId: text, ruleIndex: count, level: level, message*: message, locations: location[], relatedLocations: location[], stacks: stack[], fixes: fix[]",
        ["location"] = "physicalLocation: place, message: message",
        ["place"] = "artifactLocation*: artifact, region: region",
        ["artifact"] = "uri: uri",
        ["region"] = "startLine: positive, startColumn: positive, endLine: positive, endColumn: positive, charOffset: count, charLength: count",
        ["stack"] = "frames*: frame[]",
        ["frame"] = "location: location",
        ["fix"] = "description: message, artifactChanges*: change[]",
        ["change"] = "artifactLocation*: artifact, replacements*: replacement[]",
        ["replacement"] = "deletedRegion*: region, insertedContent: content",
    };

    private const string Deep = """
        layer gate(units: int)(x: [B, D]) {
          return x * (x |> dense(units) |> sigmoid)
        }
        model M {
          input x: [B, 8]
          output y = x |> gate(6)
        }
        """;

    [Fact]
    public void Check_writes_a_valid_log_for_all_files()
    {
        var typo = WriteSmall("a typo.dnn", ("tanh |> dropout", "tanhh |> dropout"));
        string[] files = [typo, Write("deep.dnn", Deep), WriteSmall(), At("missing.dnn"), Write("syntax.dnn", "let a = (1\nlet b = \"\u00e9\n")];
        var outcome = Dnn("check", "--sarif", files[0], files[1], files[2], files[3], files[4]);
        Assert.Equal((1, "", 1), (outcome.Code, outcome.Error, outcome.Lines.Length));
        Valid(outcome.Json, "log", "$");

        var run = outcome.Json.GetProperty("runs")[0];
        var results = run.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(["a%20typo.dnn", "deep.dnn", "missing.dnn", "syntax.dnn", "syntax.dnn"], results.Select(r => Uri(r).Split('/')[^1]));
        var rules = run.GetProperty("tool").GetProperty("driver").GetProperty("rules");
        Assert.All(results, r => Assert.Equal(r.GetProperty("ruleId").GetString(), rules[r.GetProperty("ruleIndex").GetInt32()].GetProperty("id").GetString()));

        var replacement = results[0].GetProperty("fixes")[0].GetProperty("artifactChanges")[0].GetProperty("replacements")[0];
        Assert.Equal("tanh", replacement.GetProperty("insertedContent").GetProperty("text").GetString());
        var region = replacement.GetProperty("deletedRegion");
        Assert.Equal((7, 37, 7, 42), (Int(region, "startLine"), Int(region, "startColumn"), Int(region, "endLine"), Int(region, "endColumn")));
        Assert.Equal("tanhh", File.ReadAllText(typo).Substring(Int(region, "charOffset"), Int(region, "charLength")));

        Assert.Contains("`gate_0`", results[1].GetProperty("stacks").ToString().Replace("\\u0060", "`"));
        Assert.NotEqual(0, results[1].GetProperty("relatedLocations").GetArrayLength());
    }

    [Fact]
    public void Whatever_is_found_is_valid()
    {
        string[] files = [.. DiagnosticCodes.All.Select(code => Write($"{code.Code}.dnn", code.Bad))];
        var outcome = Dnn(["check", "--sarif", .. files]);
        Valid(outcome.Json, "log", "$");
        var found = outcome.Json.GetProperty("runs")[0].GetProperty("results").EnumerateArray().Select(r => r.GetProperty("ruleId").GetString()).ToHashSet();

        // A command line, a file of a certain name, a run.
        Assert.Equal(["DNN0121", "DNN0125", "DNN0330"], DiagnosticCodes.All.Select(c => c.Code).Where(c => !found.Contains(c)));
    }

    [Fact]
    public void Check_writes_relative_paths_as_they_are_given()
    {
        var outcome = Dnn("check", "--sarif", "no such.dnn");
        Assert.Equal("no%20such.dnn", Uri(outcome.Json.GetProperty("runs")[0].GetProperty("results")[0]));
    }

    [Fact]
    public void Check_of_a_fine_file_has_no_results() => Assert.Equal(0, Fine("check", "--sarif", WriteSmall()).Json.GetProperty("runs")[0].GetProperty("results").GetArrayLength());

    [Fact]
    public void Check_takes_one_form() => Fails(2, ["check", "--sarif", "--json", WriteSmall()], "give one of them");

    private static string Uri(JsonElement result) => result.GetProperty("locations")[0].GetProperty("physicalLocation").GetProperty("artifactLocation").GetProperty("uri").GetString()!;

    private static int Int(JsonElement element, string name) => element.GetProperty(name).GetInt32();

    private static void Valid(JsonElement value, string type, string path)
    {
        if (type.EndsWith("[]", StringComparison.Ordinal))
        {
            foreach (var (i, item) in value.EnumerateArray().Index())
                Valid(item, type[..^2], $"{path}[{i}]");
            return;
        }

        if (!Objects.TryGetValue(type, out var properties))
        {
            Assert.True(IsValue(value, type), $"{path}: {value} is no {type}");
            return;
        }

        var known = properties.Split(", ").Select(p => p.Split(": ")).ToDictionary(p => p[0].TrimEnd('*'), p => (IsRequired: p[0].EndsWith('*'), Type: p[1]));
        Assert.All(known.Where(p => p.Value.IsRequired), p => Assert.True(value.TryGetProperty(p.Key, out _), $"{path} has no {p.Key}"));
        foreach (var property in value.EnumerateObject())
        {
            Assert.True(known.TryGetValue(property.Name, out var row), $"{path} has a property {property.Name}");
            Valid(property.Value, row.Type, $"{path}.{property.Name}");
        }
    }

    private static bool IsValue(JsonElement value, string type) => type switch
    {
        "anything" => value.ValueKind == JsonValueKind.String,
        "text" => value.ValueKind == JsonValueKind.String && value.GetString()!.Length > 0,
        "uri" => System.Uri.IsWellFormedUriString(value.GetString(), UriKind.RelativeOrAbsolute),
        "level" => value.GetString() is "none" or "note" or "warning" or "error",
        "positive" => value.TryGetInt32(out var n) && n > 0,
        "count" => value.TryGetInt32(out var n) && n >= 0,
        _ => type[0] == '=' && value.GetString() == type[1..],
    };
}
