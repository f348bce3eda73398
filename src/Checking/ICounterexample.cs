namespace Dnn.Checking;

/// <summary>Gives a property's argument a text of its own in the failure report, e.g. a random graph as <c>.dnn</c>.</summary>
public interface ICounterexample
{
    /// <summary>Returns the text; it may have several lines.</summary>
    string ToText();
}
