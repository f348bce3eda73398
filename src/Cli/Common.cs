using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Dnn.Backend;
using Dnn.Graph;
using MathNet.Numerics.Providers.LinearAlgebra;

namespace Dnn.Cli;

/// <summary>Options that several commands have, under one name and with one meaning.</summary>
internal static class Common
{
    public const string Set = "--set", Model = "--model", Train = "--train", Json = "--json", Quiet = "--quiet";

    private const int MaxThreads = 256;

    /// <summary>Those of every command.</summary>
    public static IEnumerable<Option> All() =>
    [
        new Option<string[]>(Set) { Description = "Sets a hyperparameter of the file, the model or the train block (train.batch=32); may be repeated.", HelpName = "NAME=VALUE", Arity = ArgumentArity.OneOrMore },
        new Option<string?>(Model) { Description = "Which model of the file.", HelpName = "NAME" },
        new Option<string?>(Train) { Description = "Which train block of the file.", HelpName = "NAME" },
        new Option<bool>(Json) { Description = "Writes JSON, for programs." },
        new Option<bool>(Quiet) { Description = "Says nothing but errors." },
    ];

    public static Argument<string> File() => new("FILE") { HelpName = "FILE", Description = "A .dnn file." };

    public static Argument<string[]> Files() => new("FILE") { HelpName = "FILE…", Description = ".dnn files.", Arity = ArgumentArity.OneOrMore };

    /// <summary>A folder to write to.</summary>
    public static Option<string?> Folder(string description) => new("--out")
    {
        Description = description,
        HelpName = "DIR",
        CustomParser = result => result.Tokens[0].Value is { Length: > 0 } folder ? folder : Fail<string>(result, "--out takes the name of a folder"),
    };

    public static Option<string?> Weights() => new("--weights") { Description = "A safetensors file with the parameters.", HelpName = "W" };

    public static Option<DType?> Float() => new("--dtype")
    {
        Description = "The float type: f32 (default) or f64.",
        HelpName = "f32|f64",
        CustomParser = result => result.Tokens[0].Value switch
        {
            "f32" => DType.F32,
            "f64" => DType.F64,
            var other => Fail<DType?>(result, $"--dtype is f32 or f64, not '{other}'"),
        },
    };

    public static Option<int?> Threads() => Count("--threads", "N", "Threads that share the work; all cores unless given.", MaxThreads);

    public static Option<string?> Provider()
    {
        var option = new Option<string?>("--provider") { Description = "What multiplies matrices: managed (default) or mathnet.", HelpName = "managed|mathnet" };
        OneOf(option, "managed", "mathnet");
        return option;
    }

    public static Option<long?> Seed(string description) => new("--seed")
    {
        Description = description,
        HelpName = "S",
        CustomParser = result => long.TryParse(result.Tokens[0].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            ? value
            : Fail<long?>(result, $"--seed takes a whole number, not '{result.Tokens[0].Value}'"),
    };

    /// <summary>A whole number from 1.</summary>
    public static Option<int?> Count(string name, string placeholder, string description, int most = int.MaxValue) => new(name)
    {
        Description = description,
        HelpName = placeholder,
        CustomParser = result => int.TryParse(result.Tokens[0].Value, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value > 0 && value <= most
            ? value
            : Fail<int?>(result, $"{name} takes a whole number from 1{(most == int.MaxValue ? "" : $" to {most}")}, not '{result.Tokens[0].Value}'"),
    };

    /// <summary>Writes a text file.</summary>
    /// <exception cref="DataFormatException">It cannot be written.</exception>
    public static void Write(string path, string text)
    {
        try
        {
            System.IO.File.WriteAllText(path, text);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw e switch
            {
                DirectoryNotFoundException => new DataFormatException(path, "the folder does not exist", "Create it, or correct the path", e),
                _ when Directory.Exists(path) => new DataFormatException(path, "this is a folder, not a file", "Name a file", e),
                UnauthorizedAccessException => new DataFormatException(path, "there is no permission to write this file", "Name another", e),
                _ => new DataFormatException(path, $"this file cannot be written: {e.Message.TrimEnd('.')}", "Name another", e),
            };
        }
    }

    /// <summary>Lets an option take some words only.</summary>
    public static void OneOf<T>(Option<T> option, params string[] words)
    {
        option.CompletionSources.Add(words);
        option.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(t => !words.Contains(t.Value)))
            {
                var near = Suggestion.Closest(token.Value, words);
                result.AddError($"{option.Name} is {string.Join(", ", words[..^1])} or {words[^1]}, not '{token.Value}'{(near is null ? "" : $"; did you mean '{near}'?")}");
            }
        });
    }

    public static PlanOptions Plan(DType? type, int? threads = null, string? provider = null) => new()
    {
        Float = type ?? DType.F32,
        Threads = threads ?? Environment.ProcessorCount,
        MatrixProduct = provider == "mathnet" ? new MathNetMatrixProduct(LinearAlgebraControl.Provider) : null,
    };

    /// <summary>Names in a list: <c>a,b</c>.</summary>
    public static string[] Names(string? list) => list?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static T? Fail<T>(ArgumentResult result, string message)
    {
        result.AddError(message);
        return default;
    }
}
