namespace Frusta.Bus;

/// <summary>The counts of the bus since it started. While no activation comes or ends, accepted = finished + pending + not stored.</summary>
/// <param name="Accepted">Activations that the bus took over, including those recovered at the start.</param>
/// <param name="Finished">Activations that ended with a record.</param>
/// <param name="NotStored">Activations that ended without a record, because the limits of their namespace say so.</param>
/// <param name="Pending">Activations that wait or run.</param>
/// <param name="PendingBytes">Bytes of the pending messages.</param>
/// <param name="Recovered">Accepted activations that an earlier process left without a record.</param>
/// <param name="RecordsRefused">Activations that ended, but whose record the journal did not take; they count as pending.</param>
public readonly record struct BusCounts(
    long Accepted, long Finished, long NotStored, long Pending, long PendingBytes, long Recovered, long RecordsRefused)
{
    /// <summary>True when no activation is unaccounted for.</summary>
    public bool IsBalanced => Accepted == Finished + Pending + NotStored;
}

/// <summary>The activations that the recovery found in the log of accepted activations, counted by how it settled them.</summary>
/// <param name="Done">Activations that had a record already.</param>
/// <param name="DeliveredAgain">Activations that run now: they never started, or their action asks for another try.</param>
/// <param name="Interrupted">Activations that were running when the process died: they got a record of a whisk internal error.</param>
/// <param name="TooOld">Activations that came longer ago than <see cref="BusOptions.MaxAgeSeconds"/>: they got a record of a whisk internal error too.</param>
/// <param name="TriggersRecorded">Fired triggers whose record was missing.</param>
public sealed record RecoverySummary(int Done, int DeliveredAgain, int Interrupted, int TooOld, int TriggersRecorded);
