using Dnn.Backend;
using Dnn.Graph;

namespace Dnn.Cli;

/// <summary>The tensors that running a model takes, as its plans have them.</summary>
/// <param name="Batch">The rows of a training step: those of the train block, or 32.</param>
/// <param name="Training">Bytes for a training step; null without a loss.</param>
/// <param name="Inference">Bytes for one row.</param>
internal sealed record PlannedMemory(int Batch, long? Training, long Inference)
{
    /// <summary>Null where no plan can be made at sizes that nobody gave.</summary>
    public static PlannedMemory? Of(ModelFile source)
    {
        var model = source.Model;
        var recipe = source.HasTraining ? source.Training().Recipe : new TrainingRecipe { Optimizer = new Adam(0.001) };
        try
        {
            return new PlannedMemory(recipe.Batch, model.Losses.Length == 0 ? null : Bytes(TrainingStep.Build(model, recipe, 100), recipe.Batch), Bytes(TrainingStep.Prediction(model), 1));
        }
        catch (GraphException)
        {
            return null;
        }

        long Bytes(Program program, int rows) => Plan.Compile(program.Simplify(), MadeValues.Sizes(model, rows, 32)).TensorBytes;
    }
}
