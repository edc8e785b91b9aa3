using Frusta.Contracts.Entities;
using Frusta.Contracts.Names;
using Frusta.Controller.Entities;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary>Checks a sequence before it is written: its length with nested sequences expanded, its components, and that it never leads to itself.</summary>
internal sealed class CheckSequence(EntityWrites entities)
{
    public async ValueTask<ApiAnswer?> CheckAsync(FullyQualifiedName sequence, IReadOnlyList<string> components, CancellationToken cancellationToken)
    {
        if (components.Count == 0)
        {
            return ApiAnswer.Error(400, EntityTexts.SequenceEmpty);
        }

        if (components.Count > entities.Limits.SequenceLength)
        {
            return ApiAnswer.Error(400, EntityTexts.SequenceTooLong);
        }

        var walk = new Walk(sequence.DocumentId);
        return await ExpandAsync(walk, components, isDirect: true, cancellationToken);
    }

    private async ValueTask<ApiAnswer?> ExpandAsync(Walk walk, IReadOnlyList<string> components, bool isDirect, CancellationToken cancellationToken)
    {
        foreach (var component in components)
        {
            // A store that another program filled may hold any text.
            if (FullyQualifiedName.Parse(component) is not { } name)
            {
                return ApiAnswer.Error(400, EntityTexts.ComponentMissing);
            }

            var (place, refusal) = await ResolveAsync(name, isDirect, cancellationToken);
            if (refusal is not null)
            {
                return refusal;
            }

            if (string.Equals(place, walk.Sequence, StringComparison.Ordinal))
            {
                return ApiAnswer.Error(400, EntityTexts.SequenceCyclic);
            }

            var (action, wrong) = await entities.FindAsync<ActionDocument>(place!, cancellationToken);
            if (action is null)
            {
                return wrong ?? ApiAnswer.Error(400, EntityTexts.ComponentMissing);
            }

            if (!action.Exec.IsSequence)
            {
                walk.Atomic++;
            }
            else if (++walk.Nested > entities.Limits.SequenceLength * 2)
            {
                // A store that another program filled may hold a circle of sequences without any action, which would be followed for ever.
                return ApiAnswer.Error(400, EntityTexts.SequenceTooLong);
            }
            else if (await ExpandAsync(walk, action.Exec.Components ?? [], isDirect: false, cancellationToken) is { } nested)
            {
                return nested;
            }

            if (walk.Atomic > entities.Limits.SequenceLength)
            {
                return ApiAnswer.Error(400, EntityTexts.SequenceTooLong);
            }
        }

        return null;
    }

    /// <summary>Finds the place of a component. A missing package is a 404 only where the client named it, else the component counts as missing.</summary>
    private async ValueTask<(string? Place, ApiAnswer? Refusal)> ResolveAsync(FullyQualifiedName name, bool isDirect, CancellationToken cancellationToken)
    {
        if (name.Package is null)
        {
            return (name.DocumentId, null);
        }

        var followed = await entities.FollowAsync(name.Path, cancellationToken);
        return followed switch
        {
            { End: ResolveOutcome.Found } => (followed.PlaceOf(name.Name).DocumentId, null),
            { Outcome: ResolveOutcome.NotFound } when isDirect => (null, ApiAnswer.Error(404)),
            { Outcome: ResolveOutcome.OtherCollection } or { End: ResolveOutcome.Corrupt } => (null, EntityWrites.RefusalOf(followed.End)!),
            _ => (null, ApiAnswer.Error(400, EntityTexts.ComponentMissing)),
        };
    }

    private sealed class Walk(string sequence)
    {
        public string Sequence { get; } = sequence;

        public int Atomic { get; set; }

        public int Nested { get; set; }
    }
}
